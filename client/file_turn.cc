// Writing files that others use too: see file_writer.h.
#include <spdlog/spdlog.h>

#include <cerrno>

#include "client/file_writer.h"
#include "client/wait.h"
#include "common/status.h"

namespace penstock::client {
namespace {

constexpr absl::Duration kTurnWait = absl::Minutes(10);  // its holder's calls all end sooner
constexpr int kRounds = 16;  // of a change that meets a file becoming shared

bool NeedsTurn(const absl::Status& status) { return ReasonOf(status) == Reason::kFileShared; }

}  // namespace

absl::Status FileWriter::CheckShared(const Inode& inode, const OpContext& op) const {
  if (!inode.shared || op.has_turn) return absl::OkStatus();
  return WithReason(absl::AbortedError("the file is shared"), Reason::kFileShared);
}

absl::Status FileWriter::TakeTurn(const InodePtr& inode, const OpContext& op) {
  {
    absl::MutexLock lock(&inode->mu);
    auto free = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !inode->turn; };
    RETURN_IF_ERROR(WaitUntil(&inode->mu, free, kTurnWait, op));
    inode->turn = true;
  }
  for (int round = 0; round < kRounds; ++round) {
    auto newest = AskInTurn(*inode, op);
    if (newest.ok() && *newest) return absl::OkStatus();
    if (newest.ok()) continue;
    EndTurn(*inode);
    return newest.status();
  }
  EndTurn(*inode);
  return PosixError(EIO, "the file kept being changed by others");
}

// False: it was said meanwhile that its bytes are changed, by a call that began before the turn.
absl::StatusOr<bool> FileWriter::AskInTurn(Inode& inode, const OpContext& op) {
  Inode::Question question;
  {
    absl::MutexLock lock(&inode.mu);
    question = inode.Ask();
  }
  wire::BeginSharedWriteRequest request;
  request.set_ino(inode.ino.value());
  ASSIGN_OR_RETURN(const wire::EntryResponse response,
                   meta_->Query<wire::EntryResponse>(wire::METHOD_BEGIN_SHARED_WRITE, request, op));
  absl::MutexLock lock(&inode.mu);
  inode.Absorb(response.entry());
  inode.IsShared(question, response.entry().shared());
  return inode.IsFresh(question);
}

void FileWriter::EndTurn(Inode& inode) {
  wire::EndSharedWriteRequest request;
  request.set_ino(inode.ino.value());
  // Not interrupted: others wait for it. When it is lost, the next one of this mount ends it.
  auto ended = meta_->Query<wire::EmptyResponse>(wire::METHOD_END_SHARED_WRITE, request, {});
  if (!ended.ok()) {
    SPDLOG_WARN("turn of a shared file not given back ino={} error={}", inode.ino.value(),
                ended.status().ToString());
  }
  absl::MutexLock lock(&inode.mu);
  inode.turn = false;
}

absl::Status FileWriter::InTurn(const InodePtr& inode, const OpContext& op,
                                absl::FunctionRef<absl::Status(const OpContext&)> change) {
  bool shared = false;
  {
    absl::MutexLock lock(&inode->mu);
    shared = inode->shared;
  }
  absl::Status status;
  for (int round = 0; round < kRounds; ++round) {
    if (!shared || op.has_turn) {
      status = change(op);
      if (!NeedsTurn(status) || op.has_turn) return status;
    }
    shared = true;
    RETURN_IF_ERROR(TakeTurn(inode, op));
    OpContext mine = op;
    mine.has_turn = true;
    // What was written before the file became shared goes first.
    status = Flush(inode, FlushMode::kPublish, mine);
    if (status.ok()) status = change(mine);
    if (status.ok()) status = Flush(inode, FlushMode::kPublish, mine);
    EndTurn(*inode);
    if (!NeedsTurn(status)) return status;
  }
  return PosixError(EIO, "the file kept being shared anew");
}

absl::StatusOr<uint64_t> FileWriter::WriteBytes(const InodePtr& inode, WriteAt at,
                                                std::string_view data, const OpContext& op) {
  auto first = Gather(inode, at, data, op);
  if (first.ok() || !NeedsTurn(first.status())) return first;
  uint64_t went_to = at.offset;
  RETURN_IF_ERROR(InTurn(inode, op, [&](const OpContext& mine) -> absl::Status {
    ASSIGN_OR_RETURN(went_to, Gather(inode, at, data, mine));
    return absl::OkStatus();
  }));
  return went_to;
}

void FileWriter::BecomeShared(const InodePtr& inode, const OpContext& op) {
  {
    absl::MutexLock lock(&inode->mu);
    inode->shared = true;
    ++inode->shared_said;
  }
  absl::Status status = Flush(inode, FlushMode::kPublish, op);
  if (!status.ok()) {
    SPDLOG_WARN("shared file not flushed ino={} error={}", inode->ino.value(), status.ToString());
  }
}

}  // namespace penstock::client

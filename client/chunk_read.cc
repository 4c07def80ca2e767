// Reading: straight into the caller's buffer, checked, and never zeros that only one copy claims.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>

#include "client/chunk_tries.h"
#include "common/checksum.h"
#include "common/clock.h"

namespace penstock::client {
namespace {

constexpr int kDisagreementsBelieved = 8;  // rounds: a write under way ends sooner

bool IsFull(const wire::ChunkResult& result, uint32_t wanted) {
  return !result.absent() && result.length() == wanted;
}

absl::Status Disagreement(const ChunkKey& key) {
  return absl::AbortedError(absl::StrCat("copies of chunk ", ToString(key), " disagree"));
}

}  // namespace

absl::StatusOr<ReadOutcome> ChunkClient::Read(const FileLayout& layout, uint64_t offset,
                                              absl::Span<char> into, const OpContext& op) {
  std::vector<ReadTarget> reads;
  for (const ChunkPiece& piece : SplitByChunk(layout.chunk_size_bytes(), offset, into.size())) {
    reads.push_back({ChunkKeyOf(layout, piece.index), layout.storage_class, piece,
                     into.subspan(piece.at, piece.length), Member{}});
  }
  ReadOutcome outcome;
  const std::vector<bool> done = ReadTogether(reads, op);
  for (size_t i = 0; i < reads.size(); ++i) {
    if (done[i]) continue;
    ASSIGN_OR_RETURN(bool holes, ReadWithRetries(reads[i], op));
    outcome.holes = outcome.holes || holes;
  }
  return outcome;
}

absl::StatusOr<std::unique_ptr<ChunkServers::Reply>> ChunkClient::StartRead(
    ReadTarget& read, const OpContext& op, absl::Duration start_within) {
  read.started = SystemClock()->SinceBoot();
  wire::ReadChunksRequest request;
  wire::ChunkRead* wire = request.add_reads();
  SetKey(read.key, wire->mutable_key());
  wire->set_storage_class(read.storage_class);
  wire->set_epoch(read.member.epoch);
  wire->set_target_id(read.member.target.value());
  wire->set_offset(read.piece.offset);
  wire->set_length(read.piece.length);
  const iovec into{read.into.data(), read.into.size()};
  return servers_->Start(
      read.member.server, wire::METHOD_READ_CHUNKS, request,
      {.timeout = options_.read_try, .start_within = start_within, .interrupt = op.interrupt}, {},
      {&into, 1});
}

absl::StatusOr<wire::ChunkResult> ChunkClient::FinishRead(const ReadTarget& read,
                                                          ChunkServers::Reply* reply) {
  const iovec into{read.into.data(), read.into.size()};
  wire::ReadChunksResponse response;
  size_t received = 0;
  RETURN_IF_ERROR(reply->Finish(&response, {&into, 1}, &received));
  // It lay there while another one was waited for: nobody vouches for it any more.
  if (SystemClock()->SinceBoot() - read.started > options_.read_try) {
    return absl::DeadlineExceededError("a reply came too late to be used");
  }
  if (response.results_size() != 1) return absl::DataLossError("read: not one result");
  wire::ChunkResult result = std::move(*response.mutable_results(0));
  RETURN_IF_ERROR(StatusOf(result));
  if (result.length() != received || received > read.into.size()) {
    return absl::DataLossError("read: payload and result differ in length");
  }
  if (Crc32c({read.into.data(), received}) != result.crc32c() && received > 0) {
    return absl::DataLossError(absl::StrCat("read of ", ToString(read.key), " from target ",
                                            read.member.target.value(), ": wrong checksum"));
  }
  return result;
}

absl::StatusOr<wire::ChunkResult> ChunkClient::ReadOnce(ReadTarget& read, const OpContext& op) {
  auto reply = StartRead(read, op);
  if (reply.ok()) return AwaitRead(read, *std::move(reply), op);
  NoteFailure(read.member.server, reply.status());
  return reply.status();
}

// The common case: every piece is under way at once, each on a connection of its own. What is not
// whole and right afterwards is left to ReadWithRetries.
std::vector<bool> ChunkClient::ReadTogether(std::vector<ReadTarget>& reads, const OpContext& op) {
  std::vector<bool> done(reads.size(), false);
  std::shared_ptr<const ClusterMap> map = maps_->Get();
  std::vector<size_t> waiting;
  for (size_t i = 0; i < reads.size(); ++i) {
    std::vector<Member> order = ReadOrder(*map, reads[i].storage_class, reads[i].key);
    if (order.empty()) continue;
    reads[i].member = order[0];
    waiting.push_back(i);
  }
  // One a server and wave, in ascending order of servers (see ChunkServers::Start).
  std::stable_sort(waiting.begin(), waiting.end(), [&](size_t a, size_t b) {
    return reads[a].member.server < reads[b].member.server;
  });
  while (!waiting.empty()) {
    std::vector<std::pair<size_t, std::unique_ptr<ChunkServers::Reply>>> wave;
    std::vector<size_t> later;
    ServerId last;
    for (size_t i : waiting) {
      if (reads[i].member.server == last) {
        later.push_back(i);
        continue;
      }
      last = reads[i].member.server;
      auto reply = StartRead(reads[i], op);
      if (reply.ok()) {
        wave.emplace_back(i, std::move(*reply));
      } else {
        NoteFailure(last, reply.status());
      }
    }
    for (auto& [i, reply] : wave) {
      auto result = AwaitRead(reads[i], std::move(reply), op);
      done[i] = result.ok() && IsFull(*result, reads[i].piece.length);
    }
    waiting = std::move(later);
  }
  return done;
}

// True when zeros were put in for bytes that no copy has.
absl::StatusOr<bool> ChunkClient::ReadWithRetries(ReadTarget read, const OpContext& op) {
  Tries tries(maps_, options_.io_timeout);
  int disagreements = 0;
  while (true) {
    absl::StatusOr<bool> holes = ReadRound(read, op, &disagreements);
    if (holes.ok()) return holes;
    if (disagreements > kDisagreementsBelieved) {
      SPDLOG_ERROR("copies of a chunk disagree chunk={}", ToString(read.key));
      return PosixError(EIO, std::string(holes.status().message()));
    }
    RETURN_IF_ERROR(tries.Again(holes.status(), op));
  }
}

// Asks the members one after the other. A retryable error when any of them may answer later.
absl::StatusOr<bool> ChunkClient::ReadRound(ReadTarget& read, const OpContext& op,
                                            int* disagreements) {
  std::shared_ptr<const ClusterMap> map = maps_->Get();
  const std::vector<Member> members = InSyncMembers(*map, read.storage_class, read.key.position);
  std::vector<Member> order = ReadOrder(*map, read.storage_class, read.key);
  if (order.empty()) {
    return WithReason(absl::UnavailableError("the chunk's group is not in the cluster map"),
                      Reason::kNoGroups);
  }
  absl::Status error;
  bool asked_tail = false;
  for (size_t i = 0; i < order.size(); ++i) {
    read.member = order[i];
    asked_tail = asked_tail || read.member.target == members.back().target;
    auto result = ReadOnce(read, op);
    RETURN_IF_ERROR(CheckInterrupt(op));
    if (result.ok() && IsFull(*result, read.piece.length)) return false;
    if (result.ok()) {
      absl::Status agreed = ConfirmShort(read, *result, members, op);
      if (agreed.ok()) {
        std::memset(read.into.data() + result->length(), 0, read.into.size() - result->length());
        return true;
      }
      ++*disagreements;
      return agreed;
    }
    // A retryable error is worth another round even when another member answers DATA_LOSS.
    if (error.ok() || MayHeal(result.status())) error = result.status();
    if (ReasonOf(result.status()) == Reason::kPendingVersion && !asked_tail) {
      order.insert(order.begin() + static_cast<ptrdiff_t>(i) + 1, members.back());
    }
    if (absl::IsDataLoss(result.status())) {
      SPDLOG_ERROR("wrong bytes read chunk={} target={} error={}", ToString(read.key),
                   read.member.target.value(), result.status().ToString());
    }
  }
  if (absl::IsDataLoss(error)) return PosixError(EIO, std::string(error.message()));
  return error;
}

// OK: every in-sync member that can be reached has the same version and length of the chunk.
absl::Status ChunkClient::ConfirmShort(const ReadTarget& read, const wire::ChunkResult& result,
                                       const std::vector<Member>& members, const OpContext& op) {
  for (const Member& member : members) {
    if (member.target == read.member.target) continue;
    wire::StatChunksRequest request;
    wire::ChunkRead* wire = request.add_chunks();
    SetKey(read.key, wire->mutable_key());
    wire->set_storage_class(read.storage_class);
    wire->set_epoch(member.epoch);
    wire->set_target_id(member.target.value());
    wire::StatChunksResponse response;
    auto reply = servers_->Start(member.server, wire::METHOD_STAT_CHUNKS, request,
                                 {.timeout = options_.read_try, .interrupt = op.interrupt}, {}, {});
    absl::Status status = reply.ok() ? (*reply)->Finish(&response, {}, nullptr) : reply.status();
    if (!status.ok()) {
      RETURN_IF_ERROR(CheckInterrupt(op));
      NoteFailure(member.server, status);
      if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) continue;
      return status;
    }
    if (response.results_size() != 1) return absl::DataLossError("stat: not one result");
    const wire::ChunkResult& other = response.results(0);
    RETURN_IF_ERROR(StatusOf(other));
    if (other.has_pending() && VersionOf(other.pending()).valid()) {
      return WithReason(Disagreement(read.key), Reason::kPendingVersion);
    }
    if (other.quarantined() || other.absent() != result.absent()) return Disagreement(read.key);
    if (!result.absent() && (VersionOf(other.version()) != VersionOf(result.version()) ||
                             other.logical_length() != result.logical_length())) {
      return Disagreement(read.key);
    }
  }
  return absl::OkStatus();
}

}  // namespace penstock::client

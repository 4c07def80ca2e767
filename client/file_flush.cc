// Bringing everything written to the servers, and publishing it at the metaserver.
#include <absl/time/clock.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>

#include "client/file_writer.h"
#include "client/wait.h"
#include "common/status.h"

namespace penstock::client {
namespace {

constexpr absl::Duration kBusyWait = absl::Minutes(10);  // its holder's calls all end sooner
constexpr int kRounds = 16;                              // conditional publishes that lost a race

bool LostRace(const absl::Status& status) {
  const Reason reason = ReasonOf(status);
  return reason == Reason::kInlineDropped || reason == Reason::kContentChanged;
}

// The session under which the bytes were written: others may have been given the file since.
bool LostSession(const absl::Status& status) { return ReasonOf(status) == Reason::kSessionUnknown; }

}  // namespace

absl::Status FileWriter::TakeBusy(Inode& inode, const OpContext& op) {
  absl::MutexLock lock(&inode.mu);
  auto idle = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !inode.busy; };
  RETURN_IF_ERROR(WaitUntil(&inode.mu, idle, kBusyWait, op));
  inode.busy = true;
  return absl::OkStatus();
}

void FileWriter::GiveBusy(Inode& inode) {
  absl::MutexLock lock(&inode.mu);
  inode.busy = false;
  if (!inode.dirty() && inode.chunks.empty() && inode.cut == nullptr && inode.registered) {
    inode.registered = false;
    absl::MutexLock mine(&mu_);
    dirty_.erase(inode.ino);
  }
}

absl::Status FileWriter::Flush(const InodePtr& inode, FlushMode mode, const OpContext& op) {
  RETURN_IF_ERROR(TakeBusy(*inode, op));
  absl::Status status = FlushHeld(inode, mode, op);
  GiveBusy(*inode);
  return status;
}

void FileWriter::FlushAll(const OpContext& op) {
  for (const InodePtr& inode : DirtyInodes()) {
    absl::Status status = Flush(inode, FlushMode::kPublish, op);
    if (!status.ok()) {
      SPDLOG_ERROR("file not flushed ino={} error={}", inode->ino.value(), status.ToString());
    }
  }
}

FileWriter::Snapshot FileWriter::Look(const Inode& inode) const {
  absl::MutexLock lock(&inode.mu);
  Snapshot now{inode.writes, inode.size(), inode.dirty(), false};
  now.session = inode.session;
  now.stay_inline =
      inode.reads_inline() && now.size <= kInlineLimitBytes && !inode.entry.other_writers();
  return now;
}

absl::Status FileWriter::FlushHeld(const InodePtr& inode, FlushMode mode, const OpContext& op) {
  // A larger size would show again what an unfinished truncation cut off.
  RETURN_IF_ERROR(FinishCut(*inode, op));
  absl::Status status;
  bool published = false;
  for (int round = 0; round < kRounds; ++round) {
    const Snapshot now = Look(*inode);
    if (!now.dirty) break;
    status =
        now.stay_inline ? PublishInline(inode, now, mode, op) : PublishChunks(inode, now, mode, op);
    published = status.ok();
    if (LostSession(status)) LoseSession(now.session);
    if (!LostRace(status)) break;
    RETURN_IF_ERROR(Refresh(*inode, op));
  }
  // Else it is done before the next write.
  if (!status.ok()) CutStray(*inode, op).IgnoreError();
  if (ErrnoOf(status) == ESTALE && !LostRace(status)) {
    // The inode is gone, and what was written to it with it.
    absl::MutexLock lock(&inode->mu);
    DropUnsent(*inode);
    inode->published = inode->writes;
    inode->local_size = 0;
  }
  if (status.ok() && mode != FlushMode::kPublish) status = SyncUnsynced(*inode, op);
  if (status.ok() && mode == FlushMode::kDurable && !published) {
    // Published before, or only its attributes changed.
    status = meta_
                 ->Query<wire::SyncMetadataResponse>(wire::METHOD_SYNC_METADATA,
                                                     wire::SyncMetadataRequest(), op)
                 .status();
  }
  return status;
}

absl::Status FileWriter::PublishInline(const InodePtr& inode, Snapshot now, FlushMode mode,
                                       const OpContext& op) {
  wire::PublishRequest request;
  OpContext mine = op;
  mine.session = now.session;
  {
    absl::MutexLock lock(&inode->mu);
    if (!inode->reads_inline() || inode->size() > kInlineLimitBytes) {
      return WithReason(absl::AbortedError("the file grew meanwhile"), Reason::kInlineDropped);
    }
    now.writes = inode->writes;
    request.set_ino(inode->ino.value());
    request.set_set_inline(true);
    request.set_inline_data(inode->InlineContent());
    request.set_size_at_least(request.inline_data().size());
    request.set_bytes_changed(true);
    *request.mutable_mtime() = ToWireTime(inode->local_mtime);
    request.set_expected_data_version(inode->entry.attr().data_version());
    request.set_sync(mode == FlushMode::kDurable || inode->sync_before_publish);
  }
  auto response = Change<wire::PublishResponse>(*inode, wire::METHOD_PUBLISH, request, mine);
  absl::MutexLock lock(&inode->mu);
  if (!response.ok()) {
    if (!LostRace(response.status()) && !LostSession(response.status()) &&
        ErrnoOf(response.status()) != EINTR) {
      inode->SetError(response.status());
    }
    return response.status();
  }
  // Not what is on its way to an earlier content: its sender comes back for it.
  if (inode->writes == now.writes) DropUnsent(*inode);
  wire::Entry entry = response->entry();
  if (entry.is_inline()) entry.set_inline_data(request.inline_data());
  Published(*inode, now, entry);
  return absl::OkStatus();
}

absl::Status FileWriter::PublishChunks(const InodePtr& inode, Snapshot now, FlushMode mode,
                                       const OpContext& op) {
  if (absl::Status status = RefreshInline(*inode, op); !status.ok()) {
    absl::MutexLock lock(&inode->mu);
    if (ErrnoOf(status) != EINTR) inode->SetError(status);
    return status;
  }
  uint64_t content = 0;
  {
    absl::MutexLock lock(&inode->mu);
    content = inode->entry.layout().content_id();
    const bool changed =
        inode->materialised && inode->materialised_version != inode->entry.attr().data_version();
    if (inode->reads_inline() || (inode->entry.is_inline() && changed)) Materialise(*inode);
  }
  absl::Status sent = SendAll(inode, now.writes, op);
  if (ErrnoOf(sent) == EINTR) return sent;
  wire::PublishRequest request;
  bool sync = mode != FlushMode::kPublish;
  bool keep_inline = false;  // chunk 0 lacks what the record has
  OpContext mine = op;
  mine.session = now.session;
  {
    absl::MutexLock lock(&inode->mu);
    if (!sent.ok() && inode->failed_from == UINT64_MAX) {
      inode->SetError(sent);  // not in time; the bytes are still here
      return sent;
    }
    if (inode->entry.layout().content_id() != content) {
      return WithReason(absl::AbortedError("another mount truncated the file meanwhile"),
                        Reason::kContentChanged);
    }
    if (inode->failed_from != UINT64_MAX) {
      sent = inode->error;
      if (now.size > inode->stray_end || inode->stray_content.value() != content) {
        inode->stray_end = now.size;
        inode->stray_content = ContentId(content);
      }
      // What comes before the failed byte may be seen; nothing after it.
      now.size = std::min(now.size, std::max(inode->failed_from, inode->entry.attr().size()));
      inode->cached_version = 0;
    }
    const bool drops_inline = inode->entry.is_inline();
    // Chunk 0 replaces content that was safe: it must be as safe.
    const bool was_safe = drops_inline && !inode->entry.inline_data().empty();
    sync = (sent.ok() && (sync || inode->sync_before_publish)) || was_safe;
    request.set_ino(inode->ino.value());
    request.set_content_id(inode->entry.layout().content_id());
    request.set_size_at_least(now.size);
    request.set_bytes_changed(true);
    *request.mutable_mtime() = ToWireTime(inode->local_mtime);
    request.set_drop_inline(drops_inline);
    request.set_expected_data_version(inode->materialised_version);
    request.set_sync(mode == FlushMode::kDurable);
    request.set_allocated_delta(inode->TakeAllocatedDelta(now.size));
    keep_inline = drops_inline && !inode->materialised;
  }
  absl::Status status;
  bool published = false;
  if (sync && !keep_inline) status = SyncUnsynced(*inode, op);
  if (status.ok() && !keep_inline) {
    auto response = Change<wire::PublishResponse>(*inode, wire::METHOD_PUBLISH, request, mine);
    status = response.status();
    absl::MutexLock lock(&inode->mu);
    published = status.ok();
    if (published) Published(*inode, now, response->entry());
  }
  absl::MutexLock lock(&inode->mu);
  if (!published && inode->entry.layout().content_id() == content) {
    inode->allocated_delta += request.allocated_delta();
  }
  if (!sent.ok()) {
    // The bytes are gone and the error is set: the file is what the metaserver says.
    inode->failed_from = UINT64_MAX;
    inode->published = std::max(inode->published, now.writes);
    if (!inode->dirty()) {
      inode->local_size = 0;
      inode->Dematerialise();
    }
    return sent;
  }
  if (!status.ok() && !LostRace(status) && !LostSession(status) && ErrnoOf(status) != EINTR) {
    inode->SetError(status);
  }
  return status;
}

// Waits until every byte of the first `writes` writes is on the servers, or has failed.
absl::Status FileWriter::SendAll(const InodePtr& inode, uint64_t writes, const OpContext& op) {
  std::vector<uint32_t> mine;
  {
    absl::MutexLock lock(&inode->mu);
    for (auto& [index, chunk] : inode->chunks) {
      if (chunk.bytes.empty() || chunk.first_write > writes || chunk.wanted) continue;
      chunk.wanted = true;
      if (!chunk.in_flight) mine.push_back(index);
    }
  }
  // The last one goes from here: a small file needs no other thread.
  for (size_t i = 0; i + 1 < mine.size(); ++i) Post(inode, mine[i]);
  absl::Status status;
  if (!mine.empty()) status = SendChunk(inode, mine.back(), op);
  if (ErrnoOf(status) == EINTR) return status;
  absl::MutexLock lock(&inode->mu);
  auto sent = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return std::none_of(inode->chunks.begin(), inode->chunks.end(), [&](const auto& c) {
      return (!c.second.bytes.empty() && c.second.first_write <= writes) ||
             (c.second.in_flight && c.second.first_sending <= writes);
    });
  };
  return WaitUntil(&inode->mu, sent, kBusyWait, op);
}

absl::Status FileWriter::SyncUnsynced(Inode& inode, const OpContext& op) {
  std::vector<IndexedVersion> versions;
  FileLayout layout;
  {
    absl::MutexLock lock(&inode.mu);
    layout = inode.layout();
    versions.assign(inode.unsynced.begin(), inode.unsynced.end());
  }
  if (versions.empty()) return absl::OkStatus();
  absl::Status status = chunks_->Sync(layout, versions, op);
  absl::MutexLock lock(&inode.mu);
  if (!status.ok()) {
    if (ErrnoOf(status) != EINTR) {
      inode.SetError(status);
      inode.unsynced.clear();  // the bytes are gone: said once, not for ever
    }
    return status;
  }
  for (const auto& [index, version] : versions) {
    auto it = inode.unsynced.find(index);
    if (it != inode.unsynced.end() && it->second == version) inode.unsynced.erase(it);
  }
  return absl::OkStatus();
}

absl::Status FileWriter::Refresh(Inode& inode, const OpContext& op) {
  wire::GetattrRequest request;
  request.set_ino(inode.ino.value());
  auto response = meta_->Query<wire::EntryResponse>(wire::METHOD_GETATTR, request, op);
  if (!response.ok()) return response.status();
  absl::MutexLock lock(&inode.mu);
  inode.Absorb(response->entry());
  return absl::OkStatus();
}

absl::Status FileWriter::RefreshInline(Inode& inode, const OpContext& op) {
  {
    absl::MutexLock lock(&inode.mu);
    if (!inode.reads_inline() || inode.entry.inline_data().empty()) return absl::OkStatus();
  }
  return Refresh(inode, op);
}

void FileWriter::Published(Inode& inode, const Snapshot& now, const wire::Entry& entry) {
  inode.AbsorbOwn(entry);
  inode.published = std::max(inode.published, now.writes);
  inode.sync_before_publish = false;
  if (!inode.dirty()) {
    inode.local_size = 0;
    inode.allocated_delta = 0;  // all that can be told has been
    inode.dirty_since = absl::InfiniteFuture();
  } else {
    inode.dirty_since = absl::Now();
  }
}

}  // namespace penstock::client

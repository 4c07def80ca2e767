// Stage, Commit, Discard, Adopt and Drop.
#include <cerrno>

#include "chunkserver/store/slab_chunk_store.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

absl::Status NotPending(const ChunkKey& key, ChunkVersion version) {
  return absl::NotFoundError("version " + ToString(version) + " of chunk " + ToString(key) +
                             " is not pending");
}

// Whether the new content owes nothing to the old bytes.
bool ReplacesAll(const ChunkImage& base, const ChunkChange& change) {
  return change.kind == ChangeKind::kReplace || change.kind == ChangeKind::kDelete ||
         (change.kind == ChangeKind::kTruncate && change.offset == 0) ||
         (change.kind == ChangeKind::kWrite && change.offset == 0 &&
          change.data.size() >= base.stored_length);
}

}  // namespace

absl::Status SlabChunkStore::CheckChange(ChunkVersion version, const ChunkChange& change) const {
  if (!version.valid()) return absl::InvalidArgumentError("a change needs a version");
  const uint64_t limit = options_.max_chunk_bytes;
  uint64_t end = change.offset;
  if (change.kind == ChangeKind::kWrite) end += change.data.size();
  if (change.kind == ChangeKind::kReplace) end = change.data.size();
  if (change.kind != ChangeKind::kDelete && end > limit) {
    return PosixError(EFBIG, "a chunk would grow beyond the largest size");
  }
  return absl::OkStatus();
}

absl::Status SlabChunkStore::CheckSpace(const ChunkImage& base, const ChunkChange& change) {
  if (!ImageWriter::NeedsSpace(base, change)) return absl::OkStatus();
  ASSIGN_OR_RETURN(DiskSpace space, fs_->Space(options_.dir));
  if (space.free_bytes < reserve_bytes_ + change.data.size()) {
    return PosixError(ENOSPC, "the target is full up to its reserve");
  }
  return absl::OkStatus();
}

absl::StatusOr<WrittenImage> SlabChunkStore::WriteImage(const ChunkKey& key,
                                                        const ChunkRecord* record,
                                                        const ChunkChange& change,
                                                        Reserve reserve) {
  static const ChunkImage kEmpty;
  const ChunkImage& base = record ? record->image : kEmpty;
  if (base.quarantined && !ReplacesAll(base, change)) {
    return absl::DataLossError("the chunk is quarantined");
  }
  if (reserve == Reserve::kKeep) RETURN_IF_ERROR(CheckSpace(base, change));
  LatencyTimer timer(&times_.write);
  absl::StatusOr<WrittenImage> written = writer_->Apply(base, change, deferred_->HasRoom());
  if (written.ok()) return written;
  // Either the new data is wrong or cannot be written, or an old byte that it builds on.
  if (absl::IsDataLoss(written.status()) || AttachedErrno(written.status()) == EIO) {
    if (absl::Status old = reader_.Verify(base); !old.ok()) return ReadFailed(key, old);
  }
  return absl::IsDataLoss(written.status()) ? written.status() : WriteFailed(written.status());
}

absl::Status SlabChunkStore::WriteFailed(const absl::Status& status) {
  Count(status);
  // The target fails in a moment (control/disk_watch.h), and its groups go on without it.
  if (AttachedErrno(status) == EROFS) return absl::UnavailableError(status.message());
  return status;
}

absl::Status SlabChunkStore::Stage(const ChunkKey& key, ChunkVersion version,
                                   const ChunkChange& change) {
  RETURN_IF_ERROR(CheckChange(version, change));
  RETURN_IF_ERROR(barrier_->health());
  if (absl::Status covered = contents_->Cover(key.content); !covered.ok()) {
    return WriteFailed(covered);
  }
  absl::MutexLock lock(&locks_.Of(key));
  ASSIGN_OR_RETURN(std::optional<ChunkRecord> record, index_->Get(key));
  const ChunkRecord* before = record ? &*record : nullptr;
  if (before && before->pending) {
    if (before->pending->version == version) return absl::OkStatus();  // a repeat
    return absl::FailedPreconditionError("version " + ToString(before->pending->version) +
                                         " of chunk " + ToString(key) + " is pending");
  }
  if (before && version <= before->version) {
    return absl::FailedPreconditionError("chunk " + ToString(key) + " has version " +
                                         ToString(before->version) + " already");
  }
  WrittenImage written;
  if (change.kind != ChangeKind::kDelete) {
    ASSIGN_OR_RETURN(written, WriteImage(key, before, change));
  }
  ChunkRecord after = record.value_or(ChunkRecord());
  after.pending = PendingChange{version, change.kind, change.stamp, std::move(written.image)};
  if (change.channels) after.pending->channels = KeptChannels(*change.channels);
  // When this fails the slot stays taken: a later start may find the record.
  absl::Status changed = journal_->Change(key, before, &after, written.patch);
  if (!changed.ok()) return WriteFailed(changed);
  if (written.patch) deferred_->Added(key);
  return absl::OkStatus();
}

absl::Status SlabChunkStore::Commit(const ChunkKey& key, ChunkVersion version) {
  RETURN_IF_ERROR(barrier_->health());
  absl::MutexLock lock(&locks_.Of(key));
  ASSIGN_OR_RETURN(std::optional<ChunkRecord> record, index_->Get(key));
  if (!record) return NotPending(key, version);
  if (record->version == version) return absl::OkStatus();
  if (!record->pending || record->pending->version != version) return NotPending(key, version);
  absl::Status changed;
  if (record->pending->deletes()) {
    changed = journal_->Change(key, &*record, nullptr);
  } else {
    ChunkRecord after = *record;
    PromotePending(after);
    changed = journal_->Change(key, &*record, &after);
  }
  Count(changed);
  return changed;
}

absl::Status SlabChunkStore::Discard(const ChunkKey& key, ChunkVersion version) {
  RETURN_IF_ERROR(barrier_->health());
  absl::MutexLock lock(&locks_.Of(key));
  ASSIGN_OR_RETURN(std::optional<ChunkRecord> record, index_->Get(key));
  if (!record || !record->pending || record->pending->version != version) return absl::OkStatus();
  absl::Status changed;
  if (record->version.valid()) {
    ChunkRecord after = *record;
    DropPending(after);
    changed = journal_->Change(key, &*record, &after);
  } else {
    changed = journal_->Change(key, &*record, nullptr);
  }
  Count(changed);
  return changed;
}

absl::Status SlabChunkStore::Adopt(const ChunkKey& key, const ChunkContent& content) {
  ChunkChange change;
  change.kind = ChangeKind::kReplace;
  change.data = content.data;
  change.crc32c = content.crc32c;
  RETURN_IF_ERROR(CheckChange(content.version, change));
  RETURN_IF_ERROR(barrier_->health());
  RETURN_IF_ERROR(contents_->Cover(key.content));
  absl::MutexLock lock(&locks_.Of(key));
  ASSIGN_OR_RETURN(std::optional<ChunkRecord> record, index_->Get(key));
  // On an empty base: a new slot, so that what is here stays whole until the record changes.
  ASSIGN_OR_RETURN(WrittenImage written, WriteImage(key, nullptr, change));
  ChunkRecord after;
  after.version = content.version;
  after.image = std::move(written.image);
  after.channels = KeptChannels(content.channels);
  const absl::Status changed = journal_->Change(key, record ? &*record : nullptr, &after);
  Count(changed);
  return changed;
}

absl::Status SlabChunkStore::Drop(const ChunkKey& key) {
  RETURN_IF_ERROR(barrier_->health());
  absl::MutexLock lock(&locks_.Of(key));
  ASSIGN_OR_RETURN(std::optional<ChunkRecord> record, index_->Get(key));
  if (!record) return absl::OkStatus();
  const absl::Status changed = journal_->Change(key, &*record, nullptr);
  Count(changed);
  return changed;
}

}  // namespace penstock::chunkserver

// Read, ReadPending, Stat, Verify, VisitGroup, Space.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>

#include "chunkserver/store/slab_chunk_store.h"
#include "common/logging.h"
#include "common/status.h"

namespace penstock::chunkserver {

void SlabChunkStore::Count(const absl::Status& status) {
  if (absl::IsDataLoss(status)) {
    checksum_errors_.fetch_add(1);
  } else if (!status.ok() && ErrnoOf(status) == EIO) {
    io_errors_.fetch_add(1);
  } else if (AttachedErrno(status) == EROFS) {
    read_only_ = true;  // Linux 6.12 and later do not say so of an ext4 after an error
  }
}

absl::StatusOr<ChunkRecord> SlabChunkStore::Committed(const ChunkKey& key) {
  ASSIGN_OR_RETURN(std::optional<ChunkRecord> record, index_->Get(key));
  if (!record || !record->version.valid()) {
    return absl::NotFoundError("chunk " + ToString(key) + " is absent");
  }
  if (record->image.quarantined) {
    return absl::DataLossError("chunk " + ToString(key) + " is quarantined");
  }
  return std::move(*record);
}

absl::Status SlabChunkStore::ReadFailed(const ChunkKey& key, absl::Status why) {
  // A patch that a record names and that is not there is as bad as wrong bytes.
  if (absl::IsNotFound(why)) why = absl::DataLossError(std::string(why.message()));
  Count(why);
  // What the disk cannot read is as bad: another member has it, and a new place is found for it.
  if (!absl::IsDataLoss(why) && AttachedErrno(why) == EIO) {
    why = absl::DataLossError("the disk cannot read it: " + std::string(why.message()));
  }
  if (!absl::IsDataLoss(why)) return why;
  ASSIGN_OR_RETURN(std::optional<ChunkRecord> record, index_->Get(key));
  if (record && record->version.valid() && !record->image.quarantined) {
    ChunkRecord after = *record;
    after.image.quarantined = true;
    RETURN_IF_ERROR(journal_->Change(key, &*record, &after));
    SPDLOG_ERROR("chunk quarantined chunk={} version={} dir={} error={}", ToString(key),
                 ToString(record->version), label(), Quoted(why.ToString()));
  }
  return Annotate(why, "chunk " + ToString(key));
}

absl::StatusOr<ReadResult> SlabChunkStore::ReadOnce(const ChunkKey& key, uint32_t offset,
                                                    absl::Span<char> into, ImageReader::Wait wait) {
  ASSIGN_OR_RETURN(ChunkRecord record, Committed(key));
  ReadResult result{record.version, record.image.logical_length};
  if (offset >= result.logical_length) return result;
  result.length =
      static_cast<uint32_t>(std::min<uint64_t>(into.size(), result.logical_length - offset));
  ASSIGN_OR_RETURN(result.crc32c,
                   reader_.Read(record.image, offset, into.subspan(0, result.length), wait));
  return result;
}

absl::StatusOr<ReadResult> SlabChunkStore::ReadNoWait(const ChunkKey& key, uint32_t offset,
                                                      absl::Span<char> into) {
  LatencyTimer timer(&times_.read);
  absl::StatusOr<ReadResult> result = ReadOnce(key, offset, into, ImageReader::Wait::kNo);
  if (!result.ok()) timer.Forget();
  // Wrong bytes or a race: Read() finds out which.
  if (absl::IsDataLoss(result.status())) return absl::AbortedError("read again, waiting");
  return result;
}

absl::StatusOr<ReadResult> SlabChunkStore::Read(const ChunkKey& key, uint32_t offset,
                                                absl::Span<char> into) {
  LatencyTimer timer(&times_.read);
  absl::StatusOr<ReadResult> result = ReadOnce(key, offset, into, ImageReader::Wait::kYes);
  if (result.ok()) return result;
  // The chunk may have been changed and its slot reused since its record was read. Under its lock
  // that can't be.
  absl::MutexLock lock(&locks_.Of(key));
  RETURN_IF_ERROR(Committed(key).status());
  result = ReadOnce(key, offset, into, ImageReader::Wait::kYes);
  if (!result.ok()) return ReadFailed(key, result.status());
  return result;
}

absl::StatusOr<std::string> SlabChunkStore::ReadPending(const ChunkKey& key) {
  absl::MutexLock lock(&locks_.Of(key));
  ASSIGN_OR_RETURN(std::optional<ChunkRecord> record, index_->Get(key));
  if (!record || !record->pending || record->pending->deletes()) {
    return absl::NotFoundError("chunk " + ToString(key) + " has no pending content");
  }
  if (record->image.quarantined && record->pending->image.slot == record->image.slot) {
    return absl::DataLossError("chunk " + ToString(key) + " is quarantined");
  }
  absl::StatusOr<std::string> bytes = reader_.ReadAll(record->pending->image);
  if (!bytes.ok()) Count(bytes.status());
  return bytes;
}

absl::StatusOr<ChunkInfo> SlabChunkStore::Stat(const ChunkKey& key) {
  ASSIGN_OR_RETURN(std::optional<ChunkRecord> record, index_->Get(key));
  return record ? InfoOf(*record) : ChunkInfo();
}

absl::Status SlabChunkStore::Verify(const ChunkKey& key) {
  ASSIGN_OR_RETURN(ChunkRecord record, Committed(key));
  if (reader_.Verify(record.image).ok()) return absl::OkStatus();
  absl::MutexLock lock(&locks_.Of(key));
  ASSIGN_OR_RETURN(record, Committed(key));
  absl::Status verified = reader_.Verify(record.image);
  return verified.ok() ? verified : ReadFailed(key, verified);
}

absl::Status SlabChunkStore::VisitGroup(
    uint32_t group, uint32_t group_count, std::optional<ChunkKey> start_after,
    absl::FunctionRef<bool(const ChunkKey&, const ChunkInfo&)> visit) {
  if (group_count == 0 || (group_count & (group_count - 1)) != 0 || group >= group_count) {
    return absl::InvalidArgumentError("no such group");
  }
  return index_->VisitGroup(
      group, group_count, start_after,
      [&](const ChunkKey& key, const ChunkRecord& record) -> absl::StatusOr<bool> {
        return visit(key, InfoOf(record));
      });
}

absl::StatusOr<SpaceUsage> SlabChunkStore::Space() {
  ASSIGN_OR_RETURN(DiskSpace disk, fs_->Space(options_.dir));
  const IntervalJournal::Totals totals = journal_->totals();
  SpaceUsage usage;
  usage.capacity_bytes = disk.capacity_bytes;
  usage.device = disk.device;
  usage.read_only = disk.read_only || read_only_;
  const uint64_t reserve_bytes = reserve_bytes_;
  if (disk.free_bytes > reserve_bytes) {
    usage.free_bytes = disk.free_bytes - reserve_bytes + slots_.reusable_bytes();
  }
  usage.stored_bytes = static_cast<uint64_t>(std::max<int64_t>(0, totals.stored_bytes));
  usage.chunks = static_cast<uint64_t>(std::max<int64_t>(0, totals.chunks));
  return usage;
}

}  // namespace penstock::chunkserver

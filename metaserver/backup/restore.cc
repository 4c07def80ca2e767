#include "metaserver/backup/restore.h"

#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include "common/backup_file.h"
#include "common/logging.h"
#include "common/status.h"
#include "metaserver/backup/after_restore.h"
#include "metaserver/directory_lock.h"
#include "metaserver/log/single_node_log.h"
#include "metaserver/store/record_blocks.h"

namespace penstock::metaserver {
namespace {

constexpr absl::string_view kRestoring = "/restoring";
constexpr uint64_t kLogEvery = 1'000'000;  // records

template <typename Message>
absl::StatusOr<Message> Parse(const BackupReader::Read& read, BackupFrame wanted) {
  Message message;
  if (read.frame != wanted || !message.ParseFromString(read.payload)) {
    return absl::DataLossError("the backup's frames are not in order");
  }
  return message;
}

absl::Status CheckEmpty(const std::string& dir, FileSystem* fs) {
  ASSIGN_OR_RETURN(const bool exists, fs->Exists(dir));
  if (!exists) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto names, fs->List(dir));
  if (names.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("a backup is restored into an empty directory only, and ", dir, " holds ",
                   names.front(), ": move what is there away, or name another directory"));
}

absl::Status CheckEnd(const wire::BackupEnd& end, const std::vector<uint64_t>& loaded) {
  if (static_cast<size_t>(end.records_size()) != loaded.size() ||
      !std::equal(loaded.begin(), loaded.end(), end.records().begin())) {
    return absl::DataLossError("the backup holds another number of records than it says");
  }
  return absl::OkStatus();
}

// All frames after the start. The number of records.
absl::StatusOr<uint64_t> LoadAll(BackupReader& reader, const MetaStore& store) {
  std::vector<uint64_t> loaded(kFamilies);
  uint64_t sum = 0;
  while (true) {
    ASSIGN_OR_RETURN(const BackupReader::Read read, reader.Next());
    if (read.frame == BackupFrame::kEnd) {
      ASSIGN_OR_RETURN(const auto end, Parse<wire::BackupEnd>(read, BackupFrame::kEnd));
      RETURN_IF_ERROR(CheckEnd(end, loaded));
      // Nothing may follow.
      const absl::Status last = reader.Next().status();
      if (!absl::IsOutOfRange(last)) return last;
      return sum;
    }
    ASSIGN_OR_RETURN(auto block, Parse<wire::BackupBlock>(read, BackupFrame::kBlock));
    if (block.family() >= kFamilies) return absl::DataLossError("a block of an unknown family");
    RecordBlock records{static_cast<Family>(block.family()), block.records(),
                        std::move(*block.mutable_data())};
    RETURN_IF_ERROR(LoadBlock(store, records));
    loaded[block.family()] += records.records;
    if (sum / kLogEvery != (sum + records.records) / kLogEvery) {
      SPDLOG_INFO("restoring records={} read_bytes={} of_bytes={}", sum + records.records,
                  reader.offset(), reader.bytes());
    }
    sum += records.records;
  }
}

// The last step in the store: what is not as the backup had it, through the log, synced.
absl::Status ChangeWhatMustBe(MetaStore* store, Clock* clock) {
  ASSIGN_OR_RETURN(rocksdb::WriteBatch batch,
                   AfterRestore(*store, absl::ToUnixSeconds(clock->Now())));
  ASSIGN_OR_RETURN(const auto log, SingleNodeLog::Open(store));
  return log->Commit(std::move(batch), Durability::kSynced).status();
}

}  // namespace

absl::Status CheckNotHalfRestored(const std::string& dir, FileSystem* fs) {
  ASSIGN_OR_RETURN(const bool exists, fs->Exists(absl::StrCat(dir, kRestoring)));
  if (!exists) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("a restore into ", dir,
                   " did not come to its end: empty that directory and restore the backup again"));
}

absl::StatusOr<RestoreReport> RestoreBackup(const RestoreOptions& options, FileSystem* fs,
                                            Clock* clock) {
  RETURN_IF_ERROR(CheckEmpty(options.dir, fs));
  ASSIGN_OR_RETURN(auto reader, BackupReader::Open(options.file, fs));
  RestoreReport report;
  ASSIGN_OR_RETURN(const BackupReader::Read first, reader->Next());
  ASSIGN_OR_RETURN(report.start, Parse<wire::BackupStart>(first, BackupFrame::kStart));
  if (report.start.store_format() != kStoreFormat) {
    return absl::FailedPreconditionError(
        absl::StrCat("the backup's records have format ", report.start.store_format(),
                     ", this program knows format ", kStoreFormat));
  }
  RETURN_IF_ERROR(fs->MakeDirectory(options.dir));
  ASSIGN_OR_RETURN(const auto lock, DirectoryLock::Take(options.dir));
  const std::string restoring = absl::StrCat(options.dir, kRestoring);
  {
    ASSIGN_OR_RETURN(const auto store, MetaStore::Open({.dir = restoring}));
    ASSIGN_OR_RETURN(report.records, LoadAll(*reader, *store));
    RETURN_IF_ERROR(FlushLoaded(*store));
    RETURN_IF_ERROR(ChangeWhatMustBe(store.get(), clock));
  }
  RETURN_IF_ERROR(fs->SyncDirectory(restoring));
  RETURN_IF_ERROR(fs->Rename(restoring, options.dir + "/db"));
  RETURN_IF_ERROR(fs->SyncDirectory(options.dir));
  SPDLOG_INFO("backup restored cluster_id={} log_index={} records={} dir={}",
              report.start.cluster_id(), report.start.log_index(), report.records,
              Quoted(options.dir));
  return report;
}

}  // namespace penstock::metaserver

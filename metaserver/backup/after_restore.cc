#include "metaserver/backup/after_restore.h"

#include "common/status.h"
#include "metaserver/cluster/restored_records.h"
#include "metaserver/store/keys.h"
#include "metaserver/store/record_codec.h"
#include "metaserver/store/records.h"

namespace penstock::metaserver {
namespace {

struct Counter {
  Family family = Family::kDefault;
  std::string key;
  uint64_t first = 1;  // of a store that took no block yet
  uint64_t skipped = kSkippedIds;
  uint64_t limit = ~0ull;
};

// The new value.
absl::StatusOr<uint64_t> SkipAhead(const MetaStore& store, const Counter& counter,
                                   rocksdb::WriteBatch& batch) {
  uint64_t next = counter.first;
  auto value = store.Get(counter.family, counter.key);
  if (value.ok()) {
    if (value->size() != 8) return absl::DataLossError("damaged counter " + counter.key);
    next = ReadBig64(*value);
  } else if (!absl::IsNotFound(value.status())) {
    return value.status();
  }
  if (next >= counter.limit - counter.skipped) {
    return absl::ResourceExhaustedError("no numbers are left for one more restore");
  }
  next += counter.skipped;
  std::string bytes;
  AppendBig64(bytes, next);
  batch.Put(store.family(counter.family), counter.key, bytes);
  return next;
}

// Their clients were told more since than this store knows: none goes on.
absl::StatusOr<std::vector<uint64_t>> EndSessions(const MetaStore& store,
                                                  rocksdb::WriteBatch& batch) {
  std::vector<uint64_t> ended;
  ASSIGN_OR_RETURN(const auto records,
                   store.Scan(Family::kSession, std::string_view(&kSessionList, 1)));
  for (const auto& [key, value] : records) {
    if (key.size() != 9) return absl::DataLossError("damaged session key");
    const SessionId id(ReadBig64(std::string_view(key).substr(1)));
    ASSIGN_OR_RETURN(SessionRecord session, DecodeSession(id, value));
    session.ended = true;
    batch.Put(store.family(Family::kSession), key, EncodeSession(session));
    ended.push_back(id.value());
  }
  return ended;
}

}  // namespace

absl::StatusOr<rocksdb::WriteBatch> AfterRestore(const MetaStore& store, int64_t now_s) {
  rocksdb::WriteBatch batch;
  RETURN_IF_ERROR(SkipAhead(store,
                            {.family = Family::kDataset,
                             .key = NextInodeKey(kRootDataset),
                             .first = 2,
                             .skipped = kSkippedInodes,
                             .limit = uint64_t{1} << InodeNumber::kLocalBits},
                            batch)
                      .status());
  RETURN_IF_ERROR(SkipAhead(store, {.key = std::string(kNextContentKey)}, batch).status());
  ASSIGN_OR_RETURN(const uint64_t next_session,
                   SkipAhead(store, {.key = std::string(kNextSessionKey)}, batch));
  ASSIGN_OR_RETURN(std::vector<uint64_t> fenced, EndSessions(store, batch));
  fenced.push_back(next_session - 1);  // nobody's: it carries the list's version when it is alone
  ASSIGN_OR_RETURN(const ClusterRecords records, LoadClusterRecords(store));
  if (!records.found) return absl::DataLossError("the backup holds no cluster record");
  ASSIGN_OR_RETURN(const RestoredRecords restored, AsRestored(records, {fenced, now_s}));
  PutRestored(store, restored, batch);
  return batch;
}

}  // namespace penstock::metaserver

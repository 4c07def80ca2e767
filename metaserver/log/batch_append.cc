#include "metaserver/log/batch_append.h"

#include "metaserver/store/rocks_status.h"

namespace penstock::metaserver {
namespace {

class Appender : public rocksdb::WriteBatch::Handler {
 public:
  Appender(const MetaStore& store, rocksdb::WriteBatch& to) : store_(store), to_(to) {}
  rocksdb::Status PutCF(uint32_t cf, const rocksdb::Slice& key,
                        const rocksdb::Slice& value) override {
    return to_.Put(HandleOf(cf), key, value);
  }
  rocksdb::Status DeleteCF(uint32_t cf, const rocksdb::Slice& key) override {
    return to_.Delete(HandleOf(cf), key);
  }
  rocksdb::Status MergeCF(uint32_t cf, const rocksdb::Slice& key,
                          const rocksdb::Slice& value) override {
    return to_.Merge(HandleOf(cf), key, value);
  }
  rocksdb::Status DeleteRangeCF(uint32_t cf, const rocksdb::Slice& begin,
                                const rocksdb::Slice& end) override {
    return to_.DeleteRange(HandleOf(cf), begin, end);
  }

 private:
  rocksdb::ColumnFamilyHandle* HandleOf(uint32_t cf) const {
    for (int i = 0; i <= static_cast<int>(Family::kCluster); ++i) {
      rocksdb::ColumnFamilyHandle* handle = store_.family(static_cast<Family>(i));
      if (handle->GetID() == cf) return handle;
    }
    return store_.family(Family::kDefault);
  }

  const MetaStore& store_;
  rocksdb::WriteBatch& to_;
};

}  // namespace

absl::Status AppendBatch(const MetaStore& store, const rocksdb::WriteBatch& from,
                         rocksdb::WriteBatch& to) {
  Appender appender(store, to);
  return FromRocks(from.Iterate(&appender), "append a batch");
}

}  // namespace penstock::metaserver

#include "metaserver/store/record_blocks.h"

#include <memory>

#include "common/status.h"
#include "metaserver/store/record_codec.h"
#include "metaserver/store/rocks_status.h"

namespace penstock::metaserver {
namespace {

constexpr std::string_view kLogIndexKey = "log_index";
constexpr size_t kReadaheadBytes = 2 << 20;

void AppendBytes(std::string& out, std::string_view bytes) {
  RecordWriter writer;
  writer.Bytes(bytes);
  out += writer.Take();
}

uint64_t SumOfProperty(const MetaStore& store, const char* name) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kFamilies; ++i) {
    uint64_t value = 0;
    if (store.db()->GetIntProperty(store.family(static_cast<Family>(i)), name, &value)) {
      sum += value;
    }
  }
  return sum;
}

}  // namespace

uint64_t StoreSnapshot::records_about() const {
  return SumOfProperty(*store_, "rocksdb.estimate-num-keys");
}

uint64_t StoreSnapshot::bytes_about() const {
  return SumOfProperty(*store_, "rocksdb.estimate-live-data-size") +
         SumOfProperty(*store_, "rocksdb.size-all-mem-tables");
}

absl::StatusOr<uint64_t> StoreSnapshot::log_index() const {
  rocksdb::ReadOptions options;
  options.snapshot = snapshot_;
  std::string value;
  const rocksdb::Status status =
      store_->db()->Get(options, store_->family(Family::kDefault),
                        rocksdb::Slice(kLogIndexKey.data(), kLogIndexKey.size()), &value);
  RETURN_IF_ERROR(FromRocks(status, "read the log index"));
  if (value.size() != 8) return absl::DataLossError("the log index has the wrong length");
  return ReadBig64(value);
}

absl::Status StoreSnapshot::Visit(
    Family family, std::string_view prefix,
    absl::FunctionRef<absl::StatusOr<bool>(std::string_view, std::string_view)> visit) const {
  rocksdb::ReadOptions options;
  options.snapshot = snapshot_;
  options.fill_cache = false;
  options.readahead_size = kReadaheadBytes;
  std::unique_ptr<rocksdb::Iterator> it(store_->db()->NewIterator(options, store_->family(family)));
  const rocksdb::Slice start(prefix.data(), prefix.size());
  for (it->Seek(start); it->Valid() && it->key().starts_with(start); it->Next()) {
    ASSIGN_OR_RETURN(const bool more, visit({it->key().data(), it->key().size()},
                                            {it->value().data(), it->value().size()}));
    if (!more) return absl::OkStatus();
  }
  return FromRocks(it->status(), "read records");
}

absl::Status StoreSnapshot::VisitBlocks(absl::FunctionRef<absl::Status(RecordBlock)> visit) const {
  for (size_t i = 0; i < kFamilies; ++i) {
    RecordBlock block{.family = static_cast<Family>(i)};
    RETURN_IF_ERROR(
        Visit(block.family, "",
              [&](std::string_view key, std::string_view value) -> absl::StatusOr<bool> {
                AppendBytes(block.data, key);
                AppendBytes(block.data, value);
                ++block.records;
                if (block.data.size() < kBlockBytes) return true;
                RETURN_IF_ERROR(visit(std::exchange(block, {.family = block.family})));
                return true;
              }));
    if (block.records > 0) RETURN_IF_ERROR(visit(std::move(block)));
  }
  return absl::OkStatus();
}

absl::Status LoadBlock(const MetaStore& store, const RecordBlock& block) {
  if (static_cast<size_t>(block.family) >= kFamilies) {
    return absl::DataLossError("a block of an unknown family");
  }
  rocksdb::WriteBatch batch;
  RecordReader in(block.data);
  for (uint32_t i = 0; i < block.records && in.ok(); ++i) {
    const std::string key = in.Bytes();
    const std::string value = in.Bytes();
    if (in.ok()) {
      RETURN_IF_ERROR(FromRocks(batch.Put(store.family(block.family), key, value), "put"));
    }
  }
  if (!in.finished()) return absl::DataLossError("a block of records is damaged");
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  return FromRocks(store.db()->Write(options, &batch), "load records");
}

absl::Status FlushLoaded(const MetaStore& store) {
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  for (size_t i = 0; i < kFamilies; ++i) families.push_back(store.family(static_cast<Family>(i)));
  return FromRocks(store.db()->Flush(rocksdb::FlushOptions(), families), "store loaded records");
}

}  // namespace penstock::metaserver

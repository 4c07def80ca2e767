#include "metaserver/store/merge_operators.h"

#include <spdlog/spdlog.h>

#include "metaserver/store/records.h"

namespace penstock::metaserver {
namespace {

std::string_view View(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// What a merge that cannot be done leaves: no record decodes from it, so readers get DATA_LOSS.
// Failing the merge instead would stop RocksDB's compactions, and with them the whole store.
constexpr char kDamaged = '\xff';

class InodeMerge : public rocksdb::MergeOperator {
 public:
  const char* Name() const override { return "penstock.inode.1"; }

  bool FullMergeV2(const MergeOperationInput& in, MergeOperationOutput* out) const override {
    auto inode = in.existing_value == nullptr
                     ? absl::StatusOr<Inode>(absl::DataLossError("no record below the change"))
                     : DecodeInode(InodeNumber(), View(*in.existing_value));
    for (const rocksdb::Slice& operand : in.operand_list) {
      if (!inode.ok()) break;
      auto change = DecodeDirectoryChange(View(operand));
      if (change.ok()) {
        ApplyDirectoryChange(*change, *inode);
      } else {
        inode = change.status();
      }
    }
    if (inode.ok()) {
      out->new_value = EncodeInode(*inode);
    } else {
      SPDLOG_ERROR("damaged inode record error=\"{}\"", inode.status().ToString());
      out->new_value.assign(1, kDamaged);
    }
    return true;
  }

  bool PartialMerge(const rocksdb::Slice&, const rocksdb::Slice& left, const rocksdb::Slice& right,
                    std::string* merged, rocksdb::Logger*) const override {
    auto first = DecodeDirectoryChange(View(left));
    auto second = DecodeDirectoryChange(View(right));
    if (!first.ok() || !second.ok()) return false;
    first->entries += second->entries;
    first->links += second->links;
    first->changes += second->changes;
    first->time = second->time;
    *merged = EncodeDirectoryChange(*first);
    return true;
  }
};

class CounterMerge : public rocksdb::AssociativeMergeOperator {
 public:
  const char* Name() const override { return "penstock.counters.1"; }

  bool Merge(const rocksdb::Slice&, const rocksdb::Slice* existing, const rocksdb::Slice& value,
             std::string* merged, rocksdb::Logger*) const override {
    auto sum = existing == nullptr ? absl::StatusOr<DatasetCounters>(DatasetCounters{})
                                   : DecodeCounters(View(*existing));
    auto change = DecodeCounters(View(value));
    if (!sum.ok() || !change.ok()) {
      merged->assign(1, kDamaged);
      return true;
    }
    *merged = EncodeCounters({sum->inodes + change->inodes, sum->bytes + change->bytes});
    return true;
  }
};

}  // namespace

std::shared_ptr<rocksdb::MergeOperator> NewInodeMergeOperator() {
  return std::make_shared<InodeMerge>();
}
std::shared_ptr<rocksdb::MergeOperator> NewCounterMergeOperator() {
  return std::make_shared<CounterMerge>();
}

}  // namespace penstock::metaserver

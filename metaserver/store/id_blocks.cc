#include "metaserver/store/id_blocks.h"

#include <algorithm>

#include "common/status.h"
#include "metaserver/store/record_codec.h"

namespace penstock::metaserver {

IdBlocks::IdBlocks(Options options, MetaStore* store, ReplicatedLog* log)
    : options_(std::move(options)), store_(store), log_(log) {}

absl::StatusOr<uint64_t> IdBlocks::Next() {
  while (true) {
    bool take = false;
    uint64_t id = 0;
    {
      absl::MutexLock lock(&mu_);
      if (next_ == end_ && spare_next_ != spare_end_) {
        next_ = spare_next_;
        end_ = spare_end_;
        spare_next_ = spare_end_ = 0;
      }
      if (next_ != end_) id = next_++;
      const bool low = end_ - next_ <= options_.block / 2 && spare_next_ == spare_end_;
      if (!taking_ && low) {
        taking_ = take = true;
      } else if (id == 0) {
        auto done = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !taking_; };
        mu_.Await(absl::Condition(&done));
      }
    }
    if (take) {
      absl::Status status = TakeBlock();
      // With a number in hand, the next caller meets the error.
      if (id == 0) RETURN_IF_ERROR(status);
    }
    if (id != 0) return id;
  }
}

absl::Status IdBlocks::TakeBlock() {
  auto take = [this]() -> absl::StatusOr<std::pair<uint64_t, uint64_t>> {
    uint64_t first = options_.first;
    auto value = store_->Get(options_.family, options_.key);
    if (value.ok()) {
      if (value->size() != 8) return absl::DataLossError("damaged counter " + options_.key);
      first = ReadBig64(*value);
    } else if (!absl::IsNotFound(value.status())) {
      return value.status();
    }
    if (first >= options_.limit) return PosixError(ENOSPC, "no numbers left");
    const uint64_t end = std::min(options_.limit, first + options_.block);
    std::string next;
    AppendBig64(next, end);
    rocksdb::WriteBatch batch;
    batch.Put(store_->family(options_.family), options_.key, next);
    ASSIGN_OR_RETURN(uint64_t index, log_->Commit(std::move(batch), Durability::kSynced));
    static_cast<void>(index);
    return std::make_pair(first, end);
  };
  auto block = take();
  absl::MutexLock lock(&mu_);
  taking_ = false;
  if (!block.ok()) return Annotate(block.status(), "take a block of ids");
  spare_next_ = block->first;
  spare_end_ = block->second;
  return absl::OkStatus();
}

}  // namespace penstock::metaserver

#include "chunkserver/store/sequence_source.h"

#include <algorithm>

#include "common/status.h"

namespace penstock::chunkserver {

absl::StatusOr<uint64_t> SequenceSource::Next() {
  absl::MutexLock lock(&mu_);
  RETURN_IF_ERROR(Reserve());
  return next_++;
}

absl::Status SequenceSource::Raise(uint64_t seen) {
  if (seen > kHighestSequence) return absl::InvalidArgumentError("no sequence is so high");
  absl::MutexLock lock(&mu_);
  next_ = std::max(next_, seen + 1);
  return Reserve();
}

absl::Status SequenceSource::Reserve() {
  while (next_ >= limit_) {
    auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !reserving_; };
    mu_.Await(absl::Condition(&idle));
    if (next_ < limit_) break;
    reserving_ = true;
    const uint64_t limit = next_ + kBlock;
    mu_.Unlock();
    IndexBatch batch;
    batch.PutSequence(limit);
    absl::Status reserved = index_->Write(batch, ChunkIndex::Sync::kYes);
    mu_.Lock();
    reserving_ = false;
    RETURN_IF_ERROR(Annotate(reserved, "reserve sequences"));
    limit_ = std::max(limit_, limit);
  }
  return absl::OkStatus();
}

}  // namespace penstock::chunkserver

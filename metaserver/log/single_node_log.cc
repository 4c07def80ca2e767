#include "metaserver/log/single_node_log.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <cerrno>

#include "common/status.h"
#include "metaserver/log/batch_append.h"
#include "metaserver/store/record_codec.h"
#include "metaserver/store/rocks_status.h"

namespace penstock::metaserver {
namespace {

constexpr std::string_view kIndexKey = "log_index";

}  // namespace

struct SingleNodeLog::Waiter {
  rocksdb::WriteBatch batch;
  uint64_t index = 0;
  absl::Status status;
  bool done = false;  // guarded by mu_
};

absl::StatusOr<std::unique_ptr<SingleNodeLog>> SingleNodeLog::Open(MetaStore* store,
                                                                   SingleNodeLogOptions options) {
  uint64_t last = 0;
  auto value = store->Get(Family::kDefault, kIndexKey);
  if (value.ok()) {
    if (value->size() != 8) return absl::DataLossError("the log index has the wrong length");
    last = ReadBig64(*value);
  } else if (!absl::IsNotFound(value.status())) {
    return Annotate(value.status(), "read the log index");
  }
  return std::unique_ptr<SingleNodeLog>(new SingleNodeLog(store, options, last));
}

SingleNodeLog::SingleNodeLog(MetaStore* store, SingleNodeLogOptions options, uint64_t last_index)
    : store_(store), options_(options), last_index_(last_index), synced_index_(0) {
  sync_thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "meta-log-sync");
    SyncLoop();
  });
}

SingleNodeLog::~SingleNodeLog() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  sync_thread_.join();
  if (absl::Status status = Sync(); !status.ok()) {
    SPDLOG_ERROR("last sync of the metadata log failed error=\"{}\"", status.ToString());
  }
}

absl::StatusOr<uint64_t> SingleNodeLog::Commit(rocksdb::WriteBatch batch, Durability durability) {
  Waiter self;
  self.batch = std::move(batch);
  {
    absl::MutexLock lock(&mu_);
    if (!failure_.ok()) return failure_;
    queue_.push_back(&self);
  }
  auto ready = [this, &self]()
                   ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return self.done || !writing_; };
  while (true) {  // a group has a bound, so the first may not hold this entry
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(&ready));
      if (self.done) break;
      writing_ = true;  // the log is free: write for all that wait
    }
    WriteGroup();
  }
  RETURN_IF_ERROR(self.status);
  if (durability == Durability::kSynced) RETURN_IF_ERROR(SyncTo(self.index));
  return self.index;
}

void SingleNodeLog::WriteGroup() {
  std::vector<Waiter*> group;
  absl::Status status;
  {
    absl::MutexLock lock(&mu_);
    size_t bytes = 0;
    while (!queue_.empty() && group.size() < options_.max_group &&
           (group.empty() || bytes < options_.max_group_bytes)) {
      group.push_back(queue_.front());
      bytes += queue_.front()->batch.GetDataSize();
      queue_.pop_front();
    }
    status = failure_;
  }
  uint64_t index = last_index_.load(std::memory_order_relaxed);
  for (Waiter* waiter : group) waiter->index = ++index;
  if (status.ok()) status = WriteMerged(group, index);
  absl::MutexLock lock(&mu_);
  if (status.ok()) {
    last_index_.store(index, std::memory_order_release);
  } else if (failure_.ok()) {
    Latch(status);
  }
  for (Waiter* waiter : group) {
    waiter->status = status;
    waiter->done = true;
  }
  writing_ = false;
}

absl::Status SingleNodeLog::WriteMerged(const std::vector<Waiter*>& group, uint64_t last) {
  rocksdb::WriteBatch merged = std::move(group[0]->batch);
  for (size_t i = 1; i < group.size(); ++i) {
    RETURN_IF_ERROR(AppendBatch(*store_, group[i]->batch, merged));
  }
  std::string value;
  AppendBig64(value, last);
  merged.Put(rocksdb::Slice(kIndexKey.data(), kIndexKey.size()), value);
  return FromRocks(store_->db()->Write(rocksdb::WriteOptions(), &merged), "write the metadata log");
}

absl::Status SingleNodeLog::Sync() { return SyncTo(last_index()); }

absl::Status SingleNodeLog::SyncTo(uint64_t index) {
  uint64_t target = 0;
  {
    absl::MutexLock lock(&mu_);
    auto ready = [this, index]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return !failure_.ok() || synced_index_.load() >= index || !syncing_;
    };
    mu_.Await(absl::Condition(&ready));
    if (!failure_.ok()) return failure_;
    if (synced_index_.load() >= index) return absl::OkStatus();
    syncing_ = true;
    target = last_index();  // one sync for all that are written by now
  }
  const absl::Status status = FromRocks(store_->db()->SyncWAL(), "sync the metadata log");
  absl::MutexLock lock(&mu_);
  syncing_ = false;
  if (status.ok()) {
    synced_index_.store(target, std::memory_order_release);
  } else if (failure_.ok()) {
    Latch(status);
  }
  return status;
}

// Everything is refused from the failure until the end of this, and what was under way has ended.
absl::Status SingleNodeLog::RecoverFromFullDisk() {
  {
    absl::MutexLock lock(&mu_);
    if (ErrnoOf(failure_) != ENOSPC) return absl::OkStatus();
    auto quiet = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return queue_.empty() && !writing_ && !syncing_;
    };
    mu_.Await(absl::Condition(&quiet));
  }
  RETURN_IF_ERROR(store_->RecoverFromFullDisk());
  absl::MutexLock lock(&mu_);
  failure_ = absl::OkStatus();
  synced_index_.store(last_index(), std::memory_order_release);  // all of it is in tables
  SPDLOG_INFO("metadata log goes on after a full disk index={}", last_index());
  return absl::OkStatus();
}

void SingleNodeLog::Latch(const absl::Status& status) {
  mu_.AssertHeld();
  if (ErrnoOf(status) == ENOSPC) {
    failure_ = Annotate(status, "the metaserver's disk is full");
    SPDLOG_ERROR(
        "metadata log cannot be written, disk full; refusing every change until there is "
        "room error=\"{}\"",
        status.ToString());
    return;
  }
  failure_ = Annotate(status, "the metadata log failed; restart the metaserver");
  SPDLOG_ERROR("metadata log failed, refusing every change until the restart error=\"{}\"",
               status.ToString());
}

void SingleNodeLog::FailForTest(absl::Status status) {
  absl::MutexLock lock(&mu_);
  if (failure_.ok()) Latch(status);
}

void SingleNodeLog::SyncLoop() {
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      mu_.AwaitWithTimeout(absl::Condition(&stopping_), options_.sync_every);
      if (stopping_) return;
      if (!failure_.ok()) continue;
    }
    if (last_synced_index() < last_index()) Sync().IgnoreError();  // an error is latched and logged
  }
}

}  // namespace penstock::metaserver

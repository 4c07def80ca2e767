// FaultyFileSystem keeps files in memory and forgets, at a power cut, what was not synced: unsynced
// writes arrive or not sector by sector, unsynced names vanish. Also gives errors and a full disk
// on demand. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/file.h"

namespace penstock::testing {

// Counts mutating operations of every layer that shares it; from the chosen one on, nothing reaches
// the disk any more (the machine is off, or the process is dead).
class CrashSwitch {
 public:
  // The `operations`-th from now is the first that does not happen.
  void ArmAfter(int64_t operations) {
    absl::MutexLock lock(&mu_);
    left_ = operations;
    armed_ = true;
  }
  void Crash() {
    absl::MutexLock lock(&mu_);
    crashed_ = true;
  }
  void Repair() {
    absl::MutexLock lock(&mu_);
    crashed_ = armed_ = false;
  }
  // Called before each mutating operation: whether it happens.
  bool Allow() {
    absl::MutexLock lock(&mu_);
    ++count_;
    if (!crashed_ && armed_ && left_-- <= 0) crashed_ = true;
    return !crashed_;
  }
  bool crashed() const {
    absl::MutexLock lock(&mu_);
    return crashed_;
  }
  int64_t count() const {
    absl::MutexLock lock(&mu_);
    return count_;
  }

 private:
  mutable absl::Mutex mu_;
  bool armed_ ABSL_GUARDED_BY(mu_) = false;
  bool crashed_ ABSL_GUARDED_BY(mu_) = false;
  int64_t left_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t count_ ABSL_GUARDED_BY(mu_) = 0;
};

class FaultyFileSystem : public FileSystem {
 public:
  static constexpr uint64_t kSector = 512;

  explicit FaultyFileSystem(CrashSwitch* crash = nullptr) : crash_(crash) {}

  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  absl::StatusOr<bool> Exists(const std::string& path) override;
  absl::Status MakeDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& dir) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& dir) override;
  absl::StatusOr<DiskSpace> Space(const std::string& dir) override;

  // Forgets what was not synced, except for sectors that `random` lets arrive: `arrives_percent` of
  // them, or a random part. Files that were open must not be used any more.
  void PowerCut(std::mt19937_64& random, std::optional<int> arrives_percent = std::nullopt);
  // Every sector's bytes are as if the disk had turned them.
  void FlipBit(const std::string& path, uint64_t offset);

  void set_capacity(uint64_t bytes) { capacity_ = bytes; }  // 0: no limit
  void set_fail_writes(bool fail) { fail_writes_ = fail; }
  void set_fail_syncs(bool fail) { fail_syncs_ = fail; }
  void set_fail_reads(bool fail) { fail_reads_ = fail; }
  // The disk cannot read this sector, until it is written again.
  void BreakSector(const std::string& path, uint64_t offset);
  uint64_t used_bytes() const;
  // Where a string occurs in a file's current content.
  std::vector<std::string> Files() const;

 private:
  friend class FaultyFile;
  using Sector = std::string;
  struct Content {
    uint64_t size = 0;
    std::map<uint64_t, Sector> sectors;  // by number; absent: zeros
  };
  struct Node {
    Content current;
    Content synced;
    std::set<uint64_t> dirty;  // sectors that differ since the last sync
    std::set<uint64_t> broken;
  };
  bool Allow() { return crash_ == nullptr || crash_->Allow(); }

  CrashSwitch* const crash_;
  std::atomic<uint64_t> capacity_{0};
  std::atomic<bool> fail_writes_{false};
  std::atomic<bool> fail_syncs_{false};
  std::atomic<bool> fail_reads_{false};
  mutable absl::Mutex mu_;
  std::map<std::string, std::shared_ptr<Node>> names_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::shared_ptr<Node>> synced_names_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> directories_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::testing

// SpaceGuard watches the free space of the metadata's disk. Below the reserve nothing that needs
// more room is accepted (ENOSPC), so that what frees room, and what the metaserver must write for
// itself, still has some. When there is room again it goes on by itself, and it brings the log back
// when the disk was full to the last byte. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/functional/any_invocable.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "common/file.h"

namespace penstock::metaserver {

struct SpaceGuardOptions {
  std::string dir;             // on the disk
  uint64_t reserve_bytes = 0;  // 0: nothing is watched, but a log that failed is brought back
  absl::Duration every = absl::Milliseconds(200);
};

class SpaceGuard {
 public:
  // `recover` is called again and again while there is room and it fails: it makes the log write
  // again after a full disk, and has nothing to do when it does. `fs` must outlive the guard.
  SpaceGuard(SpaceGuardOptions options, FileSystem* fs, absl::AnyInvocable<absl::Status()> recover);
  ~SpaceGuard() { Stop(); }
  void Start();
  void Stop();

  // ENOSPC while there is less room than the reserve.
  absl::Status CheckRoom() const;
  // What the operator is to know and do, one line; empty when all is well.
  std::string Problem() const;
  // Looks once, as the thread does it. For tests.
  void Look();

 private:
  void Run();
  bool IsFull(uint64_t free_bytes) const;

  const SpaceGuardOptions options_;
  FileSystem* const fs_;
  absl::AnyInvocable<absl::Status()> recover_;  // of the thread
  std::atomic<bool> full_{false};
  std::atomic<uint64_t> free_bytes_{0};
  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace penstock::metaserver

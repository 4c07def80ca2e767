// DirectoryLock keeps a second metaserver away from a directory: flock(2) on its file `lock`. The
// kernel gives it back when the process ends, however it ends.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>

namespace penstock::metaserver {

class DirectoryLock {
 public:
  // FAILED_PRECONDITION: another process holds it.
  static absl::StatusOr<std::unique_ptr<DirectoryLock>> Take(const std::string& dir);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}
  const int fd_;
};

}  // namespace penstock::metaserver

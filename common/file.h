// Files and directories through an interface, so that a test can lose what was not synced.
// Every operation of the real one retries EINTR and short transfers; errors carry their errno.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

// An open file. Thread-safe (positioned I/O only).
class File {
 public:
  virtual ~File() = default;
  // Reads up to into.size() bytes; short only at the end of the file.
  virtual absl::StatusOr<size_t> Read(uint64_t offset, absl::Span<char> into) = 0;
  // Like Read, but only what needs no wait for the disk (RWF_NOWAIT): ABORTED when it would wait.
  virtual absl::StatusOr<size_t> ReadNoWait(uint64_t offset, absl::Span<char> into) = 0;
  // Like Read, but what the disk has, past the page cache (O_DIRECT) where the file system can: for
  // those who check disks. Neither served from pages that hide a rotten sector nor filling the
  // cache with what nobody asked for.
  virtual absl::StatusOr<size_t> ReadFromDisk(uint64_t offset, absl::Span<char> into) = 0;
  virtual absl::Status Write(uint64_t offset, std::string_view data) = 0;
  virtual absl::Status DataSync() = 0;  // fdatasync
  virtual absl::Status Truncate(uint64_t size) = 0;
  virtual absl::Status Allocate(uint64_t offset, uint64_t length) = 0;  // fallocate, keeps zeros
  virtual absl::Status PunchHole(uint64_t offset, uint64_t length) = 0;
  virtual absl::StatusOr<uint64_t> Size() = 0;
};

struct OpenMode {
  bool create = false;
  bool exclusive = false;
  bool truncate = false;
  bool read_only = false;
};

struct DiskSpace {
  uint64_t capacity_bytes = 0;
  uint64_t free_bytes = 0;  // to an unprivileged writer
  uint64_t device = 0;      // st_dev: equal for directories of one file system
  bool read_only = false;   // mounted so, perhaps by the kernel after an error
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  virtual absl::StatusOr<bool> Exists(const std::string& path) = 0;
  virtual absl::Status MakeDirectory(const std::string& path) = 0;  // OK when it is there
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& dir) = 0;  // sorted
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status Remove(const std::string& path) = 0;
  virtual absl::Status SyncDirectory(const std::string& dir) = 0;
  virtual absl::StatusOr<DiskSpace> Space(const std::string& dir) = 0;
};

FileSystem* PosixFileSystem();  // lives forever

// Whole small files: read, and replaced atomically and synced (temporary file, rename, directory).
absl::StatusOr<std::string> ReadSmallFile(FileSystem* fs, const std::string& path,
                                          size_t limit_bytes = 1 << 20);
absl::Status WriteSmallFile(FileSystem* fs, const std::string& path, std::string_view data);

}  // namespace penstock

// DiskWatch decides when a target's disk has failed, from what can be seen of it every second. What
// has failed stays so until the server is started again: the metaserver takes the target out of its
// groups then, and one that came back by itself would go in and out.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "chunkserver/targets.h"
#include "common/file.h"

namespace penstock::chunkserver {

// What one look at an open target shows.
struct DiskSigns {
  absl::Status store;         // ChunkStore::Health()
  std::string place;          // what is wrong with the directory at its path; "" nothing
  bool place_unread = false;  // that could not be looked at
  bool read_only = false;
  uint64_t io_errors = 0;  // since the start
};
DiskSigns LookAtDisk(const Target& target, FileSystem* fs);
// Whether a small file cannot be written because the file system is read-only: Linux 6.12 and later
// do not tell otherwise of an ext4 after an error, and an idle disk would not be noticed.
bool IsReadOnly(const Target& target, FileSystem* fs);

struct DiskLimits {
  uint64_t io_errors = 50;  // within `window`; single ones are repaired from other copies
  absl::Duration window = absl::Minutes(10);
  int unread_looks = 5;  // in a row
};

class DiskWatch {
 public:
  explicit DiskWatch(const DiskLimits& limits = {}) : limits_(limits) {}

  // What has failed, and what to do about it, in one line; "" while it works.
  const std::string& Look(const DiskSigns& signs, absl::Duration now);

 private:
  std::string Judge(const DiskSigns& signs, absl::Duration now);

  const DiskLimits limits_;
  std::deque<std::pair<absl::Duration, uint64_t>> errors_;  // of looks within the window
  int unread_ = 0;
  std::string failed_;
};

}  // namespace penstock::chunkserver

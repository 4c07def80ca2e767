// Restores a backup into the directory of a metaserver that has never run. Offline.
//
// Order on disk: everything goes into DIR/restoring, which becomes DIR/db when all of it is synced.
// A directory where that did not come to its end is refused by every later start.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>

#include "common/clock.h"
#include "common/file.h"
#include "proto/admin.pb.h"

namespace penstock::metaserver {

struct RestoreOptions {
  std::string dir;   // of the metaserver; missing or empty
  std::string file;  // the backup
};
struct RestoreReport {
  wire::BackupStart start;
  uint64_t records = 0;
};

// FAILED_PRECONDITION: the directory is not empty, or the backup is of a format that this program
// does not know. DATA_LOSS: the backup is damaged. After an error the directory is to be emptied.
absl::StatusOr<RestoreReport> RestoreBackup(const RestoreOptions& options, FileSystem* fs,
                                            Clock* clock);

// FAILED_PRECONDITION: a restore into `dir` began and did not end.
absl::Status CheckNotHalfRestored(const std::string& dir, FileSystem* fs);

}  // namespace penstock::metaserver

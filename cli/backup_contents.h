// What a backup file says of itself, told only after every byte of it was read and checked.
#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>

#include "common/file.h"
#include "proto/admin.pb.h"

namespace penstock::cli {

struct BackupContents {
  wire::BackupStart start;
  wire::BackupEnd end;
  uint64_t file_bytes = 0;
};

// DATA_LOSS: the file is damaged or not whole. `read` is told how far it is.
absl::StatusOr<BackupContents> CheckBackup(const std::string& path, FileSystem* fs,
                                           absl::FunctionRef<void(uint64_t bytes)> read);

// Checks one part of a backup, as it comes from the metaserver or from a file: the order, and that
// the sums at the end are those of what came.
class BackupSums {
 public:
  absl::Status Start(const wire::BackupStart& start);
  absl::Status Block(const wire::BackupBlock& block);  // DATA_LOSS: its checksum is wrong
  absl::Status End(const wire::BackupEnd& end);
  bool ended() const { return ended_; }
  uint64_t records() const { return all_; }
  uint64_t bytes() const { return sums_.bytes(); }

 private:
  wire::BackupEnd sums_;
  uint64_t all_ = 0;
  bool started_ = false;
  bool ended_ = false;
};

}  // namespace penstock::cli

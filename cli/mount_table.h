// What is mounted: the kernel's mount table, and the records that mounted clients leave so that
// `penstock umount` can wait for them.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <optional>
#include <string>
#include <vector>

#include "cli/process.h"

namespace penstock::cli {

inline constexpr absl::string_view kFileSystemType = "fuse.penstock";

struct MountEntry {
  std::string root;  // of a bind mount: the directory inside; else "/"
  std::string mountpoint;
  std::string type;
  std::string source;  // "host:port[:/subdir]"
  std::string super_options;
};

// Parses /proc/PID/mountinfo.
std::vector<MountEntry> ParseMountInfo(absl::string_view text);
std::vector<MountEntry> MountTable();  // of this process
std::vector<MountEntry> PenstockMounts();
// The topmost mount at exactly that mountpoint; type unchecked.
std::optional<MountEntry> MountAt(const std::vector<MountEntry>& table,
                                  absl::string_view mountpoint);
// The mount that an absolute path lies on.
std::optional<MountEntry> MountOf(const std::vector<MountEntry>& table, absl::string_view path);

struct MountRecord {
  ProcessId process;  // the supervisor
  std::string mountpoint;
  std::string source;
  std::string log_file;
  std::string error;  // set when the client ended with one: not everything was written
  ProcessId client;   // pid 0: not known
};
// The supervisor or the client lives. A client that lost its supervisor serves on.
bool IsServed(const MountRecord& record);

std::string MountRecordPath(absl::string_view mountpoint);
absl::Status WriteMountRecord(const MountRecord& record);
std::optional<MountRecord> ReadMountRecord(absl::string_view mountpoint);
void RemoveMountRecord(absl::string_view mountpoint);
// At the end of the mount: the record goes when everything was written, and keeps the error when
// not.
void FinishMountRecord(MountRecord record, const absl::Status& ended);

}  // namespace penstock::cli

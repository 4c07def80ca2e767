// The metaserver's records and their bytes (docs/formats/metadata.md). Plain values. Decoding
// damaged bytes is DATA_LOSS; a format of a newer program is FAILED_PRECONDITION.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/ids.h"
#include "common/placement.h"

namespace penstock::metaserver {

// Nanoseconds since 1970 in 64-bit seconds, so that every time of utimensat fits.
struct FileTime {
  int64_t seconds = 0;
  uint32_t nanos = 0;
  friend auto operator<=>(const FileTime&, const FileTime&) = default;
};
FileTime ToFileTime(absl::Time time);
absl::Time ToAbslTime(FileTime time);

struct LayoutRecord {
  FileLayout layout;
  ContentId base_content;  // a clone's base, none yet
  uint32_t base_seed = 0;
  uint64_t base_length = 0;
};

// A partial truncation whose chunks are not all cut yet.
struct TruncateIntent {
  uint64_t id = 0;  // 0: none
  uint64_t old_size = 0;
  SessionId session;  // that cuts them
};

struct Inode {
  InodeNumber ino;  // of the key, not in the value
  uint32_t mode = 0;
  uint32_t nlink = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t rdev = 0;
  uint64_t size = 0;  // of a directory: its number of entries
  FileTime atime, mtime, ctime, btime;
  uint64_t data_version = 0;
  uint64_t change = 0;
  uint64_t parent_local = 0;  // of a directory, and of a file while it has one link; else 0
  bool is_inline = false;     // the whole content is in `data`
  std::string data;           // inline content or symlink target
  bool has_acl = false;       // an access or default list is among the attributes
  uint64_t allocated = 0;     // bytes in chunks, about (metaserver/allocated.h)
  LayoutRecord layout;        // regular files
  TruncateIntent truncate;

  bool is_directory() const { return S_ISDIR(mode); }
  bool is_regular() const { return S_ISREG(mode); }
  bool is_symlink() const { return S_ISLNK(mode); }
  InodeNumber parent() const { return {ino.dataset(), parent_local}; }
};
std::string EncodeInode(const Inode& inode);
absl::StatusOr<Inode> DecodeInode(InodeNumber ino, std::string_view bytes);

// Merge operand on a directory's record.
struct DirectoryChange {
  int64_t entries = 0;
  int32_t links = 0;
  FileTime time;         // new mtime and ctime
  uint64_t changes = 1;  // added to `change` and `data_version`
};
std::string EncodeDirectoryChange(const DirectoryChange& change);
absl::StatusOr<DirectoryChange> DecodeDirectoryChange(std::string_view bytes);
void ApplyDirectoryChange(const DirectoryChange& change, Inode& directory);

struct Dentry {
  uint64_t local = 0;  // of the inode, in the parent's dataset
  uint32_t type = 0;   // S_IFMT bits
};
std::string EncodeDentry(const Dentry& dentry);
absl::StatusOr<Dentry> DecodeDentry(std::string_view bytes);

// Value or merge operand (then a difference).
struct DatasetCounters {
  int64_t inodes = 0;
  int64_t bytes = 0;
};
std::string EncodeCounters(const DatasetCounters& counters);
absl::StatusOr<DatasetCounters> DecodeCounters(std::string_view bytes);

struct Dataset {
  DatasetId id;  // of the key
  std::string name;
  uint64_t root_local = 1;
  DatasetId base;  // layer below, none yet
  uint32_t storage_class = 1;
  uint8_t chunk_size_log2 = 22;
  FileTime created;
};
std::string EncodeDataset(const Dataset& dataset);
absl::StatusOr<Dataset> DecodeDataset(DatasetId id, std::string_view bytes);

struct Orphan {
  FileTime since;                  // of the key
  InodeNumber ino;                 // of the key
  std::vector<SessionId> holders;  // sessions that said so when the last link went
};
std::string EncodeOrphan(const Orphan& orphan);
absl::StatusOr<Orphan> DecodeOrphan(std::string_view key, std::string_view bytes);

// A content that no file names any more.
struct DeadContent {
  FileTime since;     // of the key
  ContentId content;  // of the key
  LayoutRecord layout;
  uint64_t chunk_count = 0;
};
std::string EncodeDeadContent(const DeadContent& dead);
absl::StatusOr<DeadContent> DecodeDeadContent(std::string_view key, std::string_view bytes);

struct SessionRecord {
  SessionId id;  // of the key
  std::string hostname, mountpoint, version, subdir, address;
  uint32_t pid = 0;
  FileTime opened;
  bool ended = false;  // for good, however; the record stays until its fence is confirmed
};
std::string EncodeSession(const SessionRecord& session);
absl::StatusOr<SessionRecord> DecodeSession(SessionId id, std::string_view bytes);

// The last result of one of a session's slots.
struct SlotResult {
  uint64_t sequence = 0;
  std::string response;  // the reply's message
};
std::string EncodeSlotResult(const SlotResult& slot);
absl::StatusOr<SlotResult> DecodeSlotResult(std::string_view bytes);

}  // namespace penstock::metaserver

// Checks what the metaserver's records say about each other: names, inodes, link counts, parents,
// entries of directories, the reclaimer's lists, attributes, counters. Takes the facts of one
// snapshot in the order in which they come; memory stays bounded, the rest is in temporary files.
// Collects the files' contents for content_join.h. Not thread-safe.
#pragma once

#include <absl/status/status.h>

#include <optional>
#include <string>

#include "cli/fsck/problem.h"
#include "cli/fsck/rows.h"
#include "cli/fsck/spill_sort.h"
#include "proto/admin.pb.h"

namespace penstock::cli {

class MetadataCheck {
 public:
  MetadataCheck(const std::string& temp_dir, TakeProblem take, size_t rows_in_memory = 1 << 19);

  // DATA_LOSS: not in the order that the call promises.
  absl::Status Take(const wire::Facts& facts);
  // After the last: compares. DATA_LOSS: the end was missing.
  absl::Status Finish();

  SpillSort<FileRow>& files() { return files_; }
  uint64_t inodes() const { return inodes_.count(); }
  uint64_t names() const { return names_.count(); }

 private:
  absl::Status TakeInode(const wire::InodeFacts& inode);
  absl::Status TakeName(const wire::NameFacts& name);
  // Notes the directories up to, and not including, `ino`, each with what was counted of it.
  absl::Status AdvanceDirectories(uint64_t ino);
  absl::Status StartNames();
  absl::Status CheckAll();
  struct Seen {  // what the lists say of one inode

    uint64_t names = 0;         // in directories that exist
    uint64_t first_parent = 0;  // of them
    uint32_t wrong_type = 0;    // of a name that says another type than the first
    uint32_t type = 0;
    DirectoryRow directory;
    std::optional<ListRow> orphan;
    bool truncation = false;
  };
  absl::Status Gather(uint64_t ino, Seen& seen);
  absl::Status SkipTo(uint64_t ino, bool to_the_end);
  void CheckInode(const InodeRow& inode, const Seen& seen);
  void CheckNames(const InodeRow& inode, const Seen& seen);
  void CheckCounters();
  void Report(ProblemKind kind, std::string text, std::optional<wire::Fix> fix = std::nullopt);

  const TakeProblem take_;
  SpillSort<InodeRow> inodes_;
  SpillSort<DirectoryRow> directories_;
  SpillSort<NameRow> names_;
  SpillSort<ListRow> orphans_, truncations_, xattrs_;
  SpillSort<FileRow> files_;
  SortedCursor<InodeRow> inode_cursor_{&inodes_};
  SortedCursor<DirectoryRow> directory_cursor_{&directories_};
  SortedCursor<NameRow> name_cursor_{&names_};
  SortedCursor<ListRow> orphan_cursor_{&orphans_}, truncation_cursor_{&truncations_},
      xattr_cursor_{&xattrs_};
  DirectoryRow counting_;  // the directory whose names come now
  uint64_t last_ino_ = 0, last_parent_ = 0;
  bool names_begun_ = false, ended_ = false;
  int64_t sum_inodes_ = 0, sum_bytes_ = 0;
  int64_t counted_inodes_ = 0, counted_bytes_ = 0;
};

}  // namespace penstock::cli

#include "cli/fsck/metadata_check.h"

#include <absl/strings/str_cat.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "common/ids.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

ListRow ToRow(const wire::OrphanFacts& facts) {
  ListRow row;
  row.ino = facts.ino();
  row.key_bytes = static_cast<uint8_t>(std::min(facts.key().size(), sizeof row.key));
  std::memcpy(row.key, facts.key().data(), row.key_bytes);
  return row;
}

}  // namespace

MetadataCheck::MetadataCheck(const std::string& temp_dir, TakeProblem take, size_t rows_in_memory)
    : take_(std::move(take)),
      inodes_(temp_dir, rows_in_memory),
      directories_(temp_dir, rows_in_memory),
      names_(temp_dir, rows_in_memory),
      orphans_(temp_dir, rows_in_memory),
      truncations_(temp_dir, rows_in_memory),
      xattrs_(temp_dir, rows_in_memory),
      files_(temp_dir, rows_in_memory) {}

void MetadataCheck::Report(ProblemKind kind, std::string text, std::optional<wire::Fix> fix) {
  take_({kind, std::move(text), std::move(fix)});
}

absl::Status MetadataCheck::Take(const wire::Facts& facts) {
  for (const wire::InodeFacts& inode : facts.inodes()) RETURN_IF_ERROR(TakeInode(inode));
  for (const wire::NameFacts& name : facts.names()) RETURN_IF_ERROR(TakeName(name));
  for (const auto& orphan : facts.orphans()) RETURN_IF_ERROR(orphans_.Add(ToRow(orphan)));
  for (const auto& entry : facts.truncations()) RETURN_IF_ERROR(truncations_.Add(ToRow(entry)));
  for (uint64_t ino : facts.xattrs()) RETURN_IF_ERROR(xattrs_.Add({.ino = ino}));
  for (uint64_t content : facts.dead_contents()) {
    RETURN_IF_ERROR(files_.Add({.content = content}));
  }
  if (!facts.end()) return absl::OkStatus();
  counted_inodes_ = facts.counted_inodes();
  counted_bytes_ = facts.counted_bytes();
  ended_ = true;
  return absl::OkStatus();
}

absl::Status MetadataCheck::TakeInode(const wire::InodeFacts& inode) {
  if (names_begun_ || inode.ino() <= last_ino_) return absl::DataLossError("inodes out of order");
  last_ino_ = inode.ino();
  ++sum_inodes_;
  if (S_ISREG(inode.mode())) sum_bytes_ += static_cast<int64_t>(inode.size());
  RETURN_IF_ERROR(inodes_.Add({inode.ino(), inode.change(), inode.size(), inode.parent(),
                               inode.mode(), inode.nlink(), inode.damaged(), inode.truncating()}));
  if (inode.content_id() == 0) return absl::OkStatus();
  FileRow file;
  file.content = inode.content_id();
  file.ino = inode.ino();
  file.size = std::max(inode.size(), inode.truncating_to());
  file.allocated = std::min(inode.allocated(), file.size);
  file.change = inode.change();
  file.seed = inode.seed();
  file.chunk_size_log2 = static_cast<uint8_t>(std::min(inode.chunk_size_log2(), 63u));
  file.is_inline = inode.is_inline();
  file.truncating = inode.truncating();
  return files_.Add(file);
}

absl::Status MetadataCheck::StartNames() {
  if (names_begun_) return absl::OkStatus();
  names_begun_ = true;
  RETURN_IF_ERROR(inodes_.Sort());
  return inode_cursor_.Start();
}

absl::Status MetadataCheck::AdvanceDirectories(uint64_t ino) {
  while (inode_cursor_.valid() && inode_cursor_.row().ino < ino) {
    const InodeRow& row = inode_cursor_.row();
    if (S_ISDIR(row.mode)) {
      DirectoryRow counted{.ino = row.ino};
      if (counting_.ino == row.ino) counted = counting_;
      RETURN_IF_ERROR(directories_.Add(counted));
    }
    RETURN_IF_ERROR(inode_cursor_.Step());
  }
  return absl::OkStatus();
}

absl::Status MetadataCheck::TakeName(const wire::NameFacts& name) {
  RETURN_IF_ERROR(StartNames());
  if (name.parent() < last_parent_) return absl::DataLossError("names out of order");
  last_parent_ = name.parent();
  if (counting_.ino != name.parent()) {
    RETURN_IF_ERROR(AdvanceDirectories(name.parent()));
    counting_ = {.ino = name.parent()};
  }
  ++counting_.entries;
  if (S_ISDIR(name.type())) ++counting_.subdirectories;
  if (name.damaged()) {
    Report(ProblemKind::kDamagedRecord,
           absl::StrCat("a name in directory ", "inode ", name.parent(), " cannot be read"));
    return absl::OkStatus();
  }
  const bool in_directory = inode_cursor_.valid() && inode_cursor_.row().ino == name.parent() &&
                            S_ISDIR(inode_cursor_.row().mode);
  return names_.Add({name.ino(), name.parent(), name.type(), !in_directory});
}

absl::Status MetadataCheck::Finish() {
  if (!ended_) return absl::DataLossError("the metaserver ended before all was told");
  RETURN_IF_ERROR(StartNames());
  RETURN_IF_ERROR(AdvanceDirectories(UINT64_MAX));
  RETURN_IF_ERROR(directories_.Sort());
  RETURN_IF_ERROR(names_.Sort());
  RETURN_IF_ERROR(orphans_.Sort());
  RETURN_IF_ERROR(truncations_.Sort());
  RETURN_IF_ERROR(xattrs_.Sort());
  RETURN_IF_ERROR(files_.Sort());
  return CheckAll();
}

}  // namespace penstock::cli

// The second half of MetadataCheck: all inodes in order, each with what the lists say of it.
#include <absl/strings/str_cat.h>
#include <sys/stat.h>

#include "cli/fsck/metadata_check.h"
#include "common/ids.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

std::string InodeName(uint64_t ino) { return absl::StrCat("inode ", ino); }

uint64_t LocalOf(uint64_t ino) { return InodeNumber(ino).local(); }

}  // namespace

absl::Status MetadataCheck::CheckAll() {
  RETURN_IF_ERROR(inode_cursor_.Start());
  RETURN_IF_ERROR(directory_cursor_.Start());
  RETURN_IF_ERROR(name_cursor_.Start());
  RETURN_IF_ERROR(orphan_cursor_.Start());
  RETURN_IF_ERROR(truncation_cursor_.Start());
  RETURN_IF_ERROR(xattr_cursor_.Start());
  for (; inode_cursor_.valid();) {
    const InodeRow inode = inode_cursor_.row();
    RETURN_IF_ERROR(SkipTo(inode.ino, false));
    Seen seen;
    RETURN_IF_ERROR(Gather(inode.ino, seen));
    CheckInode(inode, seen);
    RETURN_IF_ERROR(inode_cursor_.Step());
  }
  RETURN_IF_ERROR(SkipTo(0, true));
  CheckCounters();
  return absl::OkStatus();
}

// What the lists say of inodes that are not there: everything before `ino`.
absl::Status MetadataCheck::SkipTo(uint64_t ino, bool to_the_end) {
  auto before = [&](uint64_t at) { return to_the_end || at < ino; };
  for (; name_cursor_.valid() && before(name_cursor_.row().child);) {
    const NameRow name = name_cursor_.row();
    wire::Fix fix;
    fix.set_kind(wire::Fix::REMOVE_NAME);
    fix.set_parent(name.parent);
    fix.set_ino(name.child);
    Report(ProblemKind::kDanglingName,
           absl::StrCat("a name in directory ", InodeName(name.parent), " leads to ",
                        InodeName(name.child), ", which does not exist"),
           fix);
    RETURN_IF_ERROR(name_cursor_.Step());
  }
  for (; orphan_cursor_.valid() && before(orphan_cursor_.row().ino);) {
    wire::Fix fix;
    fix.set_kind(wire::Fix::REMOVE_ORPHAN);
    fix.set_ino(orphan_cursor_.row().ino);
    fix.set_key(std::string(orphan_cursor_.row().key, orphan_cursor_.row().key_bytes));
    Report(ProblemKind::kOrphanRecord,
           absl::StrCat("an orphan record of ", InodeName(fix.ino()), ", which does not exist"),
           fix);
    RETURN_IF_ERROR(orphan_cursor_.Step());
  }
  for (; truncation_cursor_.valid() && before(truncation_cursor_.row().ino);) {
    wire::Fix fix;
    fix.set_kind(wire::Fix::REMOVE_TRUNCATION);
    fix.set_ino(truncation_cursor_.row().ino);
    Report(ProblemKind::kTruncationRecord,
           absl::StrCat("a truncation of ", InodeName(fix.ino()), ", which does not exist"), fix);
    RETURN_IF_ERROR(truncation_cursor_.Step());
  }
  for (; xattr_cursor_.valid() && before(xattr_cursor_.row().ino);) {
    wire::Fix fix;
    fix.set_kind(wire::Fix::REMOVE_XATTRS);
    fix.set_ino(xattr_cursor_.row().ino);
    Report(ProblemKind::kAttributes,
           absl::StrCat("extended attributes of ", InodeName(fix.ino()), ", which does not exist"),
           fix);
    RETURN_IF_ERROR(xattr_cursor_.Step());
  }
  return absl::OkStatus();
}

absl::Status MetadataCheck::Gather(uint64_t ino, Seen& seen) {
  for (; name_cursor_.valid() && name_cursor_.row().child == ino;) {
    const NameRow& name = name_cursor_.row();
    if (name.no_parent) {
      wire::Fix fix;
      fix.set_kind(wire::Fix::REMOVE_NAME);
      fix.set_parent(name.parent);
      fix.set_ino(ino);
      Report(ProblemKind::kDanglingName,
             absl::StrCat("a name of ", InodeName(ino), " stands in ", InodeName(name.parent),
                          ", which is no directory"),
             fix);
    } else {
      if (seen.names++ == 0) {
        seen.first_parent = name.parent;
        seen.type = name.type;
      }
      if (name.type != seen.type) seen.wrong_type = name.type;
    }
    RETURN_IF_ERROR(name_cursor_.Step());
  }
  while (directory_cursor_.valid() && directory_cursor_.row().ino < ino) {
    RETURN_IF_ERROR(directory_cursor_.Step());
  }
  if (directory_cursor_.valid() && directory_cursor_.row().ino == ino) {
    seen.directory = directory_cursor_.row();
  }
  for (; orphan_cursor_.valid() && orphan_cursor_.row().ino == ino;) {
    seen.orphan = orphan_cursor_.row();
    RETURN_IF_ERROR(orphan_cursor_.Step());
  }
  for (; truncation_cursor_.valid() && truncation_cursor_.row().ino == ino;) {
    seen.truncation = true;
    RETURN_IF_ERROR(truncation_cursor_.Step());
  }
  while (xattr_cursor_.valid() && xattr_cursor_.row().ino == ino) {
    RETURN_IF_ERROR(xattr_cursor_.Step());
  }
  return absl::OkStatus();
}

void MetadataCheck::CheckInode(const InodeRow& inode, const Seen& seen) {
  if (inode.damaged) {
    Report(ProblemKind::kDamagedRecord, absl::StrCat(InodeName(inode.ino), " cannot be read"));
    return;
  }
  if (seen.truncation != inode.truncating) {
    std::optional<wire::Fix> fix;
    if (seen.truncation) {
      fix.emplace().set_kind(wire::Fix::REMOVE_TRUNCATION);
      fix->set_ino(inode.ino);
    }
    Report(ProblemKind::kTruncationRecord,
           absl::StrCat(InodeName(inode.ino),
                        seen.truncation ? " is on the list of truncations, but is not being cut"
                                        : " is being cut, but not on the list of truncations"),
           fix);
  }
  CheckNames(inode, seen);
}

void MetadataCheck::CheckNames(const InodeRow& inode, const Seen& seen) {
  const bool is_root = inode.ino == kRootInode.value();
  const bool is_directory = S_ISDIR(inode.mode);
  const uint64_t links = is_directory ? 2 + seen.directory.subdirectories : seen.names;
  wire::Fix fix;
  fix.set_ino(inode.ino);
  fix.set_change(inode.change);
  fix.set_nlink(static_cast<uint32_t>(links));
  fix.set_entries(seen.directory.entries);
  fix.set_parent(is_root ? inode.ino : seen.first_parent);
  if (seen.names > 0 && (seen.type != (inode.mode & S_IFMT) || seen.wrong_type != 0)) {
    Report(ProblemKind::kNameType, absl::StrCat("a name of ", InodeName(inode.ino),
                                                " says that it is of another type than it is"));
  }
  if (is_directory && seen.names > 1) {
    Report(ProblemKind::kManyNames,
           absl::StrCat("directory ", InodeName(inode.ino), " has ", seen.names, " names"));
    return;
  }
  if (seen.names == 0 && !is_root) {
    const bool right = seen.orphan.has_value() && inode.nlink == 0;
    if (right) return;  // unlinked: the reclaimer's
    fix.set_kind(wire::Fix::TO_LOST_AND_FOUND);
    Report(ProblemKind::kNameless, absl::StrCat(InodeName(inode.ino), " has no name"), fix);
    return;
  }
  const uint64_t parent = LocalOf(fix.parent());
  bool wrong = inode.nlink != links;
  if (is_directory) {
    wrong = wrong || inode.size != seen.directory.entries || inode.parent != parent;
  } else if (seen.names == 1) {
    wrong = wrong || (inode.parent != 0 && inode.parent != parent);
  } else {
    wrong = wrong || inode.parent != 0;
  }
  if (wrong) {
    fix.set_kind(wire::Fix::SET_INODE);
    std::string text =
        absl::StrCat(InodeName(inode.ino), " says ", inode.nlink, " links, parent ", inode.parent);
    if (is_directory) absl::StrAppend(&text, ", ", inode.size, " entries");
    absl::StrAppend(&text, "; its names say ", links, " links, parent ", parent);
    if (is_directory) absl::StrAppend(&text, ", ", seen.directory.entries, " entries");
    Report(ProblemKind::kLinkCount, std::move(text), fix);
  }
  if (seen.orphan.has_value()) {
    wire::Fix drop;
    drop.set_kind(wire::Fix::REMOVE_ORPHAN);
    drop.set_ino(inode.ino);
    drop.set_key(std::string(seen.orphan->key, seen.orphan->key_bytes));
    Report(ProblemKind::kOrphanRecord,
           absl::StrCat(InodeName(inode.ino), " has a name and is on the list of orphans"), drop);
  }
}

void MetadataCheck::CheckCounters() {
  if (counted_inodes_ == sum_inodes_ && counted_bytes_ == sum_bytes_) return;
  wire::Fix fix;
  fix.set_kind(wire::Fix::ADD_TO_COUNTERS);
  fix.set_inodes(sum_inodes_ - counted_inodes_);
  fix.set_bytes(sum_bytes_ - counted_bytes_);
  Report(ProblemKind::kCounters,
         absl::StrCat("the dataset's counters say ", counted_inodes_, " inodes and ",
                      counted_bytes_, " bytes; there are ", sum_inodes_, " and ", sum_bytes_),
         fix);
}

}  // namespace penstock::cli

#include <cerrno>
#include <optional>
#include <vector>

#include "common/status.h"
#include "metaserver/ops/mutations.h"

namespace penstock::metaserver {
namespace {

// One side of a rename: a name in a directory, and what it names.
struct Side {
  InodeNumber parent;
  std::string_view name;
  uint32_t parent_links = 0;
  bool exists = false;
  Inode inode;
};

struct Plan {
  Side from, to;
  bool no_replace = false;
  bool exchange = false;
  bool across() const { return from.parent != to.parent; }
};

absl::Status CheckRequest(const wire::RenameRequest& request) {
  constexpr uint32_t kKnown = wire::RENAME_FLAG_NOREPLACE | wire::RENAME_FLAG_EXCHANGE;
  if ((request.flags() & ~kKnown) != 0 || request.flags() == kKnown) {
    return PosixError(EINVAL, "rename: flags");
  }
  for (const std::string* name : {&request.name(), &request.new_name()}) {
    if (*name == "." || *name == "..") return PosixError(EBUSY, "rename of '.' or '..'");
    RETURN_IF_ERROR(CheckName(*name));
  }
  if (InodeNumber(request.parent()).dataset() != InodeNumber(request.new_parent()).dataset()) {
    return PosixError(EXDEV, "rename across datasets");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Dentry>> Find(const ReadView& view, const Side& side) {
  auto dentry = view.GetDentry(side.parent, side.name);
  if (dentry.ok()) return std::optional<Dentry>(*dentry);
  if (ErrnoOf(dentry.status()) == ENOENT) return std::optional<Dentry>();
  return dentry.status();
}

// A directory that changes its parent takes the rename lock, so that the tree above it stands
// still while ancestors are checked.
bool NeedsRenameLock(const Plan& plan, const std::optional<Dentry>& from,
                     const std::optional<Dentry>& to) {
  if (!plan.across()) return false;
  const bool from_directory = from.has_value() && S_ISDIR(from->type);
  const bool to_directory = to.has_value() && S_ISDIR(to->type);
  return from_directory || (plan.exchange && to_directory);
}

// Locks both names, then every inode concerned, and loads them.
absl::Status LockAndLoad(Mutation& m, Plan& plan) {
  bool rename_lock = false;
  std::optional<Dentry> from, to;
  while (true) {
    if (rename_lock) m.locks().LockRename();
    m.locks().LockNames({{plan.from.parent, plan.from.name}, {plan.to.parent, plan.to.name}});
    ASSIGN_OR_RETURN(from, Find(m.view(), plan.from));
    ASSIGN_OR_RETURN(to, Find(m.view(), plan.to));
    if (rename_lock || !NeedsRenameLock(plan, from, to)) break;
    m.locks().Release();  // the rename lock comes before names
    rename_lock = true;
  }
  std::vector<InodeLock> inodes = {{plan.from.parent, false}, {plan.to.parent, false}};
  for (const auto& [side, dentry] : {std::pair{&plan.from, from}, std::pair{&plan.to, to}}) {
    side->exists = dentry.has_value();
    if (!side->exists) continue;
    side->inode.ino = InodeNumber(side->parent.dataset(), dentry->local);
    inodes.push_back({side->inode.ino, true});
  }
  m.locks().LockInodes(inodes);
  for (Side* side : {&plan.from, &plan.to}) {
    ASSIGN_OR_RETURN(const Inode parent, m.view().GetDirectory(side->parent));
    side->parent_links = parent.nlink;
    if (!side->exists) continue;
    ASSIGN_OR_RETURN(side->inode, m.view().GetInode(side->inode.ino));
  }
  return absl::OkStatus();
}

// EINVAL when `directory` is `moved` or lies below it.
absl::Status CheckNotBelow(const ReadView& view, InodeNumber moved, InodeNumber directory) {
  while (directory.local() != kRootInode.local()) {
    if (directory == moved) return PosixError(EINVAL, "a directory cannot move below itself");
    ASSIGN_OR_RETURN(const Inode inode, view.GetInode(directory));
    if (inode.parent() == directory) return absl::DataLossError("a directory is its own parent");
    directory = inode.parent();
  }
  return absl::OkStatus();
}

// A directory that comes below another one is a link to it.
absl::Status CheckLinks(const Mutation& m, const Side& comes, const Side& place) {
  const bool more = comes.inode.is_directory() && !place.inode.is_directory();
  if (more && place.parent_links >= m.context().max_links) {
    return PosixError(EMLINK, "too many directories");
  }
  return absl::OkStatus();
}

absl::Status Check(const Mutation& m, const Plan& plan) {
  if (!plan.from.exists) return PosixError(ENOENT, "rename: no such name");
  if (plan.exchange && !plan.to.exists) return PosixError(ENOENT, "exchange: no such name");
  if (plan.no_replace && plan.to.exists) return PosixError(EEXIST, "the new name exists");
  if (plan.across()) {
    if (plan.from.inode.is_directory()) {
      RETURN_IF_ERROR(CheckNotBelow(m.view(), plan.from.inode.ino, plan.to.parent));
    }
    if (plan.exchange && plan.to.inode.is_directory()) {
      RETURN_IF_ERROR(CheckNotBelow(m.view(), plan.to.inode.ino, plan.from.parent));
    }
    RETURN_IF_ERROR(CheckLinks(m, plan.from, plan.to));
    if (plan.exchange) RETURN_IF_ERROR(CheckLinks(m, plan.to, plan.from));
  }
  if (plan.exchange || !plan.to.exists || plan.from.inode.ino == plan.to.inode.ino) {
    return absl::OkStatus();
  }
  const bool from_directory = plan.from.inode.is_directory();
  const bool to_directory = plan.to.inode.is_directory();
  if (from_directory && !to_directory) return PosixError(ENOTDIR, "directory onto a file");
  if (!from_directory && to_directory) return PosixError(EISDIR, "file onto a directory");
  if (!to_directory) return absl::OkStatus();
  ASSIGN_OR_RETURN(const bool empty, m.view().IsEmpty(plan.to.inode.ino));
  if (!empty) return PosixError(ENOTEMPTY, "the replaced directory has entries");
  return absl::OkStatus();
}

// The inode is now under `side`'s name.
void Settle(Mutation& m, Inode& inode, const Side& side) {
  if (inode.parent_local != 0) inode.parent_local = side.parent.local();
  inode.ctime = m.now();
  m.PutInode(inode);
  m.PutDentry(side.parent, side.name, inode);
}

void Move(Mutation& m, Plan& plan) {
  const int32_t moved_links = plan.from.inode.is_directory() ? 1 : 0;
  const int32_t replaced_links = plan.to.exists && plan.to.inode.is_directory() ? 1 : 0;
  const int64_t replaced = plan.to.exists ? 1 : 0;
  m.DeleteDentry(plan.from.parent, plan.from.name);
  if (plan.to.exists) m.DropLink(plan.to.inode, SessionId());
  Settle(m, plan.from.inode, plan.to);
  m.ChangeDirectory(plan.from.parent, -1, -moved_links);
  m.ChangeDirectory(plan.to.parent, 1 - replaced, moved_links - replaced_links);
}

void Exchange(Mutation& m, Plan& plan) {
  const int32_t from_links = plan.from.inode.is_directory() ? 1 : 0;
  const int32_t to_links = plan.to.inode.is_directory() ? 1 : 0;
  Settle(m, plan.from.inode, plan.to);
  Settle(m, plan.to.inode, plan.from);
  if (!plan.across()) return m.ChangeDirectory(plan.from.parent, 0, 0);
  m.ChangeDirectory(plan.from.parent, 0, to_links - from_links);
  m.ChangeDirectory(plan.to.parent, 0, from_links - to_links);
}

}  // namespace

absl::Status Rename(Mutation& m, const wire::RenameRequest& request,
                    wire::RenameResponse& response) {
  RETURN_IF_ERROR(CheckRequest(request));
  Plan plan;
  plan.from.parent = InodeNumber(request.parent());
  plan.from.name = request.name();
  plan.to.parent = InodeNumber(request.new_parent());
  plan.to.name = request.new_name();
  plan.no_replace = (request.flags() & wire::RENAME_FLAG_NOREPLACE) != 0;
  plan.exchange = (request.flags() & wire::RENAME_FLAG_EXCHANGE) != 0;
  RETURN_IF_ERROR(LockAndLoad(m, plan));
  RETURN_IF_ERROR(Check(m, plan));
  // Two names of one file: POSIX says that nothing happens.
  const bool same = plan.to.exists && plan.from.inode.ino == plan.to.inode.ino;
  if (!same && plan.exchange) Exchange(m, plan);
  if (!same && !plan.exchange) Move(m, plan);
  m.view().FillEntry(plan.from.inode, *response.mutable_moved());
  if (plan.to.exists) m.view().FillEntry(plan.to.inode, *response.mutable_replaced());
  return absl::OkStatus();
}

}  // namespace penstock::metaserver

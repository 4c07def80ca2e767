#include <cerrno>

#include "common/relatime.h"
#include "common/status.h"
#include "metaserver/ops/acl_records.h"
#include "metaserver/ops/caller.h"
#include "metaserver/ops/file_size.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/ops/set_ids.h"

namespace penstock::metaserver {
namespace {

absl::StatusOr<FileTime> TimeOf(const wire::Time& time) {
  if (time.nanos() >= 1000000000) return PosixError(EINVAL, "nanoseconds out of range");
  return FileTime{time.seconds(), time.nanos()};
}

absl::Status SetOwnerAndMode(Mutation& m, const wire::SetattrRequest& request, Inode& inode) {
  const uint32_t fields = request.fields();
  const Caller caller = CallerOf(m.context().credentials);
  const bool chown = (fields & (wire::SETATTR_UID | wire::SETATTR_GID)) != 0;
  const uint32_t before = inode.mode;
  // By the group that it has until now.
  if (chown || (fields & wire::SETATTR_KILL_SUIDGID)) KillSetIds(inode, caller);
  const uint32_t killed = before & ~inode.mode;
  if (fields & wire::SETATTR_UID) inode.uid = request.uid();
  if (fields & wire::SETATTR_GID) inode.gid = request.gid();
  if ((fields & wire::SETATTR_MODE) == 0) return absl::OkStatus();
  // The kernel's part of the same rule comes as a mode, of before.
  inode.mode = (inode.mode & S_IFMT) | (request.mode() & 07777 & ~killed);
  if (!MaySetGroupId(caller, inode.gid)) inode.mode &= ~uint32_t{S_ISGID};
  return ChmodAcl(m, inode);
}

absl::Status SetTimes(Mutation& m, const wire::SetattrRequest& request, Inode& inode) {
  const uint32_t fields = request.fields();
  if (fields & wire::SETATTR_ATIME) {
    ASSIGN_OR_RETURN(inode.atime, TimeOf(request.atime()));
  }
  if (fields & wire::SETATTR_MTIME) {
    ASSIGN_OR_RETURN(inode.mtime, TimeOf(request.mtime()));
  }
  if (fields & wire::SETATTR_ATIME_NOW) inode.atime = m.now();
  if (fields & wire::SETATTR_MTIME_NOW) inode.mtime = m.now();
  inode.ctime = m.now();
  if (fields & wire::SETATTR_CTIME) {
    ASSIGN_OR_RETURN(inode.ctime, TimeOf(request.ctime()));
  }
  return absl::OkStatus();
}

// A read of the file: atime goes on and nothing else does, ctime included. Many mounts may tell of
// reads of one file at the same time: after the first, the rule finds nothing to do for the others.
absl::Status SetReadTime(Mutation& m, const wire::SetattrRequest& request, Inode& inode) {
  FileTime read = m.now();
  if (request.has_atime()) {
    ASSIGN_OR_RETURN(read, TimeOf(request.atime()));
  }
  // With ATIME_NOW (strictatime) every read counts.
  const bool due = (request.fields() & wire::SETATTR_ATIME_NOW) != 0 ||
                   RelatimeIsDue({ToAbslTime(inode.atime), ToAbslTime(inode.mtime),
                                  ToAbslTime(inode.ctime), ToAbslTime(read)});
  if (!due || read <= inode.atime) return absl::OkStatus();
  inode.atime = read;
  m.PutInode(inode);
  // What others have cached shows an older atime until they ask again: relatime allows it.
  m.ForgetTouched(inode.ino);
  return absl::OkStatus();
}

}  // namespace

absl::Status Setattr(Mutation& m, const wire::SetattrRequest& request,
                     wire::SetattrResponse& response) {
  const InodeNumber ino(request.ino());
  m.locks().LockInodes({{ino, true}});
  ASSIGN_OR_RETURN(Inode inode, m.view().GetInode(ino));
  const bool cuts = (request.fields() & wire::SETATTR_SIZE) && request.size() <= inode.size;
  if (cuts || (request.fields() & wire::SETATTR_ATIME_READ)) m.NeedsNoRoom();
  if (request.fields() & wire::SETATTR_ATIME_READ) {
    RETURN_IF_ERROR(SetReadTime(m, request, inode));
    m.view().FillEntry(inode, *response.mutable_entry());
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(SetOwnerAndMode(m, request, inode));
  if (request.fields() & wire::SETATTR_SIZE) {
    if (inode.is_directory()) return PosixError(EISDIR, "a directory has no size to set");
    if (!inode.is_regular()) return PosixError(EINVAL, "only regular files have a size to set");
    RETURN_IF_ERROR(SetSize(m, inode, request.size(), response));
    inode.mtime = m.now();
  }
  RETURN_IF_ERROR(SetTimes(m, request, inode));
  m.PutInode(inode);
  m.view().FillEntry(inode, *response.mutable_entry());
  return absl::OkStatus();
}

}  // namespace penstock::metaserver

#include <cerrno>

#include "common/status.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/ops/new_name.h"

namespace penstock::metaserver {

absl::Status Mknod(Mutation& m, const wire::MknodRequest& request, wire::EntryResponse& response) {
  const uint32_t type = request.mode() & S_IFMT;
  const bool device = S_ISCHR(type) || S_ISBLK(type);
  if (S_ISDIR(type)) return PosixError(EPERM, "mknod makes no directory");
  if (!device && !S_ISFIFO(type) && !S_ISSOCK(type) && !S_ISREG(type) && type != 0) {
    return PosixError(EINVAL, "mknod: unknown type");
  }
  ASSIGN_OR_RETURN(const Inode parent,
                   LockNewName(m, InodeNumber(request.parent()), request.name()));
  const uint32_t mode = (type == 0 ? uint32_t{S_IFREG} : type) | (request.mode() & 07777);
  ASSIGN_OR_RETURN(Inode inode, NewInodeBelow(m, parent, {mode, request.umask()}));
  inode.nlink = 1;
  if (device) inode.rdev = request.rdev();
  if (inode.is_regular()) RETURN_IF_ERROR(m.GiveContent(inode));
  AddName(m, parent, request.name(), inode);
  m.view().FillEntry(inode, *response.mutable_entry());
  return absl::OkStatus();
}

}  // namespace penstock::metaserver

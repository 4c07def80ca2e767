#include <sys/xattr.h>

#include <cerrno>

#include "common/status.h"
#include "metaserver/acl/acl.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/ops/set_acl.h"
#include "metaserver/ops/xattr_rules.h"
#include "metaserver/store/keys.h"

namespace penstock::metaserver {

absl::Status Setxattr(Mutation& m, const wire::SetxattrRequest& request, wire::EmptyResponse&) {
  const std::string& name = request.name();
  RETURN_IF_ERROR(CheckXattrName(name));
  if (request.value().size() > kMaxXattrValueBytes) return PosixError(E2BIG, "value too long");
  if ((request.flags() & ~uint32_t{XATTR_CREATE | XATTR_REPLACE}) != 0) {
    return PosixError(EINVAL, "setxattr: unknown flags");
  }
  const InodeNumber ino(request.ino());
  m.locks().LockInodes({{ino, true}});
  ASSIGN_OR_RETURN(Inode inode, m.view().GetInode(ino));
  if (IsAclName(name)) return SetAcl(m, inode, name, request.value());
  bool exists = false;
  size_t list_bytes = name.size() + 1;
  RETURN_IF_ERROR(m.view().VisitXattrs(ino, [&](std::string_view other, std::string_view) {
    if (other == name) {
      exists = true;
    } else {
      list_bytes += other.size() + 1;
    }
  }));
  if (exists && (request.flags() & XATTR_CREATE)) return PosixError(EEXIST, "attribute exists");
  if (!exists && (request.flags() & XATTR_REPLACE)) return PosixError(ENODATA, "no such attribute");
  if (list_bytes > kMaxXattrListBytes) return PosixError(ENOSPC, "too many attributes");
  m.Put(Family::kXattr, XattrKey(ino, name), EncodeXattr(request.value()));
  inode.ctime = m.now();
  m.PutInode(inode);
  return absl::OkStatus();
}

}  // namespace penstock::metaserver

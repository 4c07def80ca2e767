#include <cerrno>

#include "common/status.h"
#include "metaserver/acl/acl.h"
#include "metaserver/ops/read_operations.h"
#include "metaserver/ops/xattr_rules.h"

namespace penstock::metaserver {

absl::Status Getxattr(const ReadView& view, const wire::GetxattrRequest& request,
                      wire::GetxattrResponse& response) {
  RETURN_IF_ERROR(CheckXattrName(request.name()));
  const InodeNumber ino(request.ino());
  ASSIGN_OR_RETURN(const Inode inode, view.GetInode(ino));
  // The kernel asks for it at every check of permission by another than the owner.
  if (IsAclName(request.name()) && !inode.has_acl) return PosixError(ENODATA, "no access list");
  ASSIGN_OR_RETURN(std::string value, view.GetXattr(ino, request.name()));
  RETURN_IF_ERROR(DecodeXattr(value));
  response.set_value(std::move(value));
  return absl::OkStatus();
}

}  // namespace penstock::metaserver

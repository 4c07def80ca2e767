#include "common/status.h"
#include "metaserver/acl/acl.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/ops/set_acl.h"
#include "metaserver/ops/xattr_rules.h"
#include "metaserver/store/keys.h"

namespace penstock::metaserver {

absl::Status Removexattr(Mutation& m, const wire::RemovexattrRequest& request,
                         wire::EmptyResponse&) {
  m.NeedsNoRoom();
  RETURN_IF_ERROR(CheckXattrName(request.name()));
  const InodeNumber ino(request.ino());
  m.locks().LockInodes({{ino, true}});
  ASSIGN_OR_RETURN(Inode inode, m.view().GetInode(ino));
  if (IsAclName(request.name())) return RemoveAcl(m, inode, request.name());
  RETURN_IF_ERROR(m.view().GetXattr(ino, request.name()).status());
  m.Delete(Family::kXattr, XattrKey(ino, request.name()));
  inode.ctime = m.now();
  m.PutInode(inode);
  return absl::OkStatus();
}

}  // namespace penstock::metaserver

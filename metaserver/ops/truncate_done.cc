#include "common/status.h"
#include "metaserver/allocated.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/store/keys.h"

namespace penstock::metaserver {

// The chunks are cut. A repeat, or one for a content that died meanwhile, changes nothing.
absl::Status TruncateDone(Mutation& m, const wire::TruncateDoneRequest& request,
                          wire::TruncateDoneResponse& response) {
  m.NeedsNoRoom();
  const InodeNumber ino(request.ino());
  m.locks().LockInodes({{ino, true}});
  ASSIGN_OR_RETURN(Inode inode, m.view().GetInode(ino));
  if (inode.truncate.id != 0 && inode.truncate.id == request.truncate_intent()) {
    AddAllocated(inode, request.allocated_delta());  // within the old size, which it still knows
    inode.truncate = TruncateIntent();
    m.Delete(Family::kOrphan, TruncateKey(ino));
    m.PutInode(inode);
  }
  m.view().FillEntry(inode, *response.mutable_entry());
  return absl::OkStatus();
}

}  // namespace penstock::metaserver

#include "common/status.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/ops/open_file.h"
#include "metaserver/session/session_table.h"

namespace penstock::metaserver {

// The session has its turn: it gets the newest record. When nobody else has the file open any more
// it is told so, and may keep bytes back again.
absl::Status BeginSharedWrite(Mutation& m, const wire::BeginSharedWriteRequest& request,
                              wire::EntryResponse& response) {
  const InodeNumber ino(request.ino());
  m.locks().LockInodes({{ino, true}});
  ASSIGN_OR_RETURN(const Inode inode, m.view().GetInode(ino));
  RETURN_IF_ERROR(CheckNotTruncating(m, inode, /*own_allowed=*/true));
  m.SetOpens(ino);
  m.RequireShared(ino);
  FillOpened(m, inode, /*write=*/true, *response.mutable_entry());
  if (!response.entry().shared()) {
    m.OnApplied([sessions = m.context().read.sessions, session = m.session(), ino] {
      sessions->SetShared(session, ino, false);
    });
  }
  return absl::OkStatus();
}

}  // namespace penstock::metaserver

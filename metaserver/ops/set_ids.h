#pragma once

#include "metaserver/ops/caller.h"
#include "metaserver/store/records.h"

namespace penstock::metaserver {

// As Linux when a file changes: set-user-id goes, and set-group-id where the group may execute or
// the caller is outside of the group. Directories keep theirs.
void KillSetIds(Inode& inode, const Caller& caller);

}  // namespace penstock::metaserver

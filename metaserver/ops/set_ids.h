#pragma once

#include "metaserver/store/records.h"

namespace penstock::metaserver {

// As Linux when a file changes: set-user-id goes, and set-group-id where the group may execute.
// Directories keep theirs.
void KillSetIds(Inode& inode);

}  // namespace penstock::metaserver

// Truncation and growth of a regular file.
#pragma once

#include "metaserver/mutation.h"

namespace penstock::metaserver {

// EFBIG beyond what chunk numbers can name.
absl::Status CheckFileSize(const Inode& inode, uint64_t size);

// truncate(2). To zero: a new content. Smaller: an intent, which the client works off (its chunks
// are cut after the new size is committed); it takes the place of an open one of the session, also
// when the size stays. Larger: a hole. `inode`'s lock is held exclusively; the caller puts the
// record.
absl::Status SetSize(Mutation& m, Inode& inode, uint64_t size, wire::SetattrResponse& response);

}  // namespace penstock::metaserver

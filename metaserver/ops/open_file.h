// What open and create share.
#pragma once

#include "metaserver/mutation.h"

namespace penstock::metaserver {

struct OpenHow {
  bool write = false;
  bool truncate = false;
};

// `inode`'s lock is held, exclusively when it is truncated. Refuses directories opened for writing
// (EISDIR) and files that another session is truncating (ABORTED kTruncating), empties the file
// when asked, and registers the session as its user once applied.
absl::Status OpenInode(Mutation& m, Inode& inode, OpenHow how);

// ABORTED kTruncating while another session's truncation is under way; with `own` false also while
// one of this session is.
absl::Status CheckNotTruncating(const Mutation& m, const Inode& inode, bool own_allowed);

// The file becomes empty, with a new content; times, sizes and counters follow.
absl::Status EmptyFile(Mutation& m, Inode& inode);

}  // namespace penstock::metaserver

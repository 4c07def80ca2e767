// What open and create share.
#pragma once

#include "metaserver/mutation.h"

namespace penstock::metaserver {

struct OpenHow {
  bool write = false;
  bool truncate = false;
};

// `inode`'s lock is held exclusively, so that of two sessions that open it at once the second sees
// the first. Refuses directories opened for writing
// (EISDIR) and files that another session is truncating (ABORTED kTruncating), empties the file
// when asked, and registers the session as its user once applied. Other writers are told first that
// the file is shared, and everybody that has its record cached when this one will write.
absl::Status OpenInode(Mutation& m, Inode& inode, OpenHow how);

// The reply's form of an inode that OpenInode is opening for this session.
void FillOpened(const Mutation& m, const Inode& inode, bool write, wire::Entry& entry);

// ABORTED kTruncating while another session's truncation is under way; without `own_allowed` also
// while one of this session is, which must be so for all that makes the file larger: what is not
// cut yet would be seen again.
absl::Status CheckNotTruncating(const Mutation& m, const Inode& inode, bool own_allowed);

// The file becomes empty, with a new content; times, sizes and counters follow.
absl::Status EmptyFile(Mutation& m, Inode& inode);

}  // namespace penstock::metaserver

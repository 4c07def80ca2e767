// Whom an inode's mode and list let in: the algorithm of acl(5), "ACCESS CHECK ALGORITHM".
#pragma once

#include <absl/types/span.h>

#include "metaserver/acl/acl.h"

namespace penstock::metaserver {

struct Caller {
  uint32_t uid = 0;
  uint32_t gid = 0;
  absl::Span<const uint32_t> groups;  // supplementary
  bool InGroup(uint32_t group) const;
};

struct GuardedInode {
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  Acl access;  // empty: the mode says all
};

inline constexpr uint32_t kMayRead = 4;
inline constexpr uint32_t kMayWrite = 2;

// Whether the caller has all of `wanted` (kMay*). Root has them always.
bool MayAccess(const GuardedInode& inode, const Caller& caller, uint32_t wanted);

}  // namespace penstock::metaserver

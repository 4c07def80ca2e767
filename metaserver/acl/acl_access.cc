#include "metaserver/acl/acl_access.h"

#include <algorithm>

namespace penstock::metaserver {
namespace {

// By the list, for a caller who is not the owner.
bool ListGives(const Acl& acl, uint32_t owning_group, const Caller& caller, uint32_t wanted) {
  const AclEntry* mask = acl.Find(AclTag::kMask);
  const uint32_t most = mask != nullptr ? mask->permissions : 7;
  bool in_a_group = false;
  bool enough = false;
  for (const AclEntry& entry : acl.entries) {
    if (entry.tag == AclTag::kUser && entry.id == caller.uid) {
      return (entry.permissions & most & wanted) == wanted;
    }
    const bool group = (entry.tag == AclTag::kGroupObj && caller.InGroup(owning_group)) ||
                       (entry.tag == AclTag::kGroup && caller.InGroup(entry.id));
    if (!group) continue;
    in_a_group = true;
    // One entry must give all of it: entries are not added up.
    enough = enough || (entry.permissions & most & wanted) == wanted;
  }
  if (in_a_group) return enough;
  return (acl.Find(AclTag::kOther)->permissions & wanted) == wanted;
}

}  // namespace

bool Caller::InGroup(uint32_t group) const {
  return gid == group || std::find(groups.begin(), groups.end(), group) != groups.end();
}

bool MayAccess(const GuardedInode& inode, const Caller& caller, uint32_t wanted) {
  if (caller.uid == 0) return true;
  if (caller.uid == inode.uid) return (inode.mode >> 6 & wanted) == wanted;
  if (!inode.access.entries.empty()) {
    return ListGives(inode.access, inode.gid, caller, wanted);
  }
  const uint32_t bits = caller.InGroup(inode.gid) ? inode.mode >> 3 : inode.mode;
  return (bits & wanted) == wanted;
}

}  // namespace penstock::metaserver

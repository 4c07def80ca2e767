#include "metaserver/acl/acl_mode.h"

#include <algorithm>

#include "common/status.h"

namespace penstock::metaserver {
namespace {

// The entry that the group's bits of the mode show.
AclEntry* GroupClass(Acl& acl) {
  AclEntry* mask = acl.Find(AclTag::kMask);
  return mask != nullptr ? mask : acl.Find(AclTag::kGroupObj);
}

uint16_t Bits(uint32_t mode, int shift) { return static_cast<uint16_t>(mode >> shift & 7); }

}  // namespace

uint32_t ModeBitsOf(const Acl& acl) {
  INVARIANT(!acl.entries.empty());
  const uint32_t group = GroupClass(const_cast<Acl&>(acl))->permissions;
  return uint32_t{acl.Find(AclTag::kUserObj)->permissions} << 6 | group << 3 |
         acl.Find(AclTag::kOther)->permissions;
}

bool IsMinimal(const Acl& acl) {
  return std::none_of(acl.entries.begin(), acl.entries.end(), [](const AclEntry& entry) {
    return entry.named() || entry.tag == AclTag::kMask;
  });
}

void SetModeBits(Acl& acl, uint32_t mode) {
  acl.Find(AclTag::kUserObj)->permissions = Bits(mode, 6);
  GroupClass(acl)->permissions = Bits(mode, 3);
  acl.Find(AclTag::kOther)->permissions = Bits(mode, 0);
}

InheritedAccess InheritAccess(const Acl& parent_default, uint32_t mode) {
  Acl acl = parent_default;
  acl.Find(AclTag::kUserObj)->permissions &= Bits(mode, 6);
  GroupClass(acl)->permissions &= Bits(mode, 3);
  acl.Find(AclTag::kOther)->permissions &= Bits(mode, 0);
  InheritedAccess inherited;
  inherited.mode = (mode & ~uint32_t{0777}) | ModeBitsOf(acl);
  if (!IsMinimal(acl)) inherited.access = std::move(acl);
  return inherited;
}

}  // namespace penstock::metaserver

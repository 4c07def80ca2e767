// A list and the nine permission bits of a mode: the bits show the owner's entry, the mask (or,
// without one, the owning group's entry) and the entry of others.
#pragma once

#include <optional>

#include "metaserver/acl/acl.h"

namespace penstock::metaserver {

// The nine bits that the list shows. The list is not empty.
uint32_t ModeBitsOf(const Acl& acl);
// The bits say all that the list says, so it need not be kept.
bool IsMinimal(const Acl& acl);
// chmod: owner, mask (or owning group) and other become those of `mode`.
void SetModeBits(Acl& acl, uint32_t mode);

// What a new inode gets, of a mode asked for and its parent's default list.
struct InheritedAccess {
  uint32_t mode = 0;          // other bits as asked for
  std::optional<Acl> access;  // a list of its own, when the mode does not say all
};
InheritedAccess InheritAccess(const Acl& parent_default, uint32_t mode);

}  // namespace penstock::metaserver

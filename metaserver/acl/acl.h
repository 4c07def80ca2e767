// Acl is one access control list (acl(5)) and its bytes in an extended attribute, which are those
// of Linux (posix_acl_xattr.h): u32 version = 2, then (u16 tag, u16 permissions, u32 id) an entry,
// little-endian.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::metaserver {

inline constexpr std::string_view kAccessAcl = "system.posix_acl_access";
inline constexpr std::string_view kDefaultAcl = "system.posix_acl_default";
// Linux reads a list into one page.
inline constexpr size_t kMaxAclBytes = 4096;

enum class AclTag : uint16_t {
  kUserObj = 1,   // the owner
  kUser = 2,      // the user `id`
  kGroupObj = 4,  // the owning group
  kGroup = 8,     // the group `id`
  kMask = 16,     // the most that kUser, kGroupObj and kGroup give
  kOther = 32,
};

struct AclEntry {
  AclTag tag = AclTag::kOther;
  uint16_t permissions = 0;  // rwx
  uint32_t id = 0;           // of kUser and kGroup
  bool named() const { return tag == AclTag::kUser || tag == AclTag::kGroup; }
  friend bool operator==(const AclEntry&, const AclEntry&) = default;
};

// In the order that Parse demands: owner, users, owning group, groups, mask, other.
struct Acl {
  std::vector<AclEntry> entries;  // empty: no list
  // nullptr when there is none.
  AclEntry* Find(AclTag tag);
  const AclEntry* Find(AclTag tag) const;
  friend bool operator==(const Acl&, const Acl&) = default;
};

inline bool IsAclName(std::string_view name) { return name == kAccessAcl || name == kDefaultAcl; }

// EINVAL for bytes that are no list or a list that makes no sense, EOPNOTSUPP for another version,
// E2BIG for one too long. No bytes at all, or no entries, are an empty list.
absl::StatusOr<Acl> ParseAcl(std::string_view bytes);
std::string FormatAcl(const Acl& acl);

}  // namespace penstock::metaserver

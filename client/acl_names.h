// The attributes in which Linux keeps access control lists (acl(5)).
#pragma once

#include <string_view>

namespace penstock::client {

inline constexpr std::string_view kAccessAcl = "system.posix_acl_access";
inline constexpr std::string_view kDefaultAcl = "system.posix_acl_default";

inline bool IsAcl(std::string_view name) { return name == kAccessAcl || name == kDefaultAcl; }

}  // namespace penstock::client

// What an extended attribute may be called and how much of it there may be.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>

namespace penstock::metaserver {

inline constexpr size_t kMaxXattrNameBytes = 255;
inline constexpr size_t kMaxXattrValueBytes = 64 << 10;
inline constexpr size_t kMaxXattrListBytes = 64 << 10;  // names with their zero bytes

// EOPNOTSUPP for a namespace other than user., trusted. and security. and for names in system.
// other than those of access control lists; ERANGE for a name too long.
absl::Status CheckXattrName(std::string_view name);

// A record's value is its format byte and the attribute's bytes.
std::string EncodeXattr(std::string_view value);
absl::Status DecodeXattr(std::string& record);  // in place

}  // namespace penstock::metaserver

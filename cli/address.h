// Addresses and mount sources as users type them.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <string>

namespace penstock::cli {

inline constexpr uint16_t kDefaultPort = 7400;  // of the metaserver's Penstock RPC

struct HostPort {
  std::string host;  // without brackets
  uint16_t port = kDefaultPort;
  std::string ToString() const;  // "host:port", "[::1]:port"
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

// Also when one says "localhost", which is where `penstock up` listens.
bool SameAddress(const HostPort& one, const HostPort& other);

// "host", "host:port", "[v6]", "[v6]:port".
absl::StatusOr<HostPort> ParseHostPort(absl::string_view text);

// What is to be mounted: a metaserver by address, or a cluster of `penstock up` by its directory.
struct MountSource {
  std::string directory;  // set: the rest of the address is in its cluster.json
  HostPort address;
  std::string subdir;  // "" or "/a/b"
};

// "ADDRESS[:/subdir]" or "DIR[:/subdir]"; a DIR has a slash in it or begins with a dot.
absl::StatusOr<MountSource> ParseMountSource(absl::string_view text);
// The same as the kernel shows it in the mount table: "host:port" or "host:port:/subdir".
std::string SourceText(const HostPort& address, absl::string_view subdir);

}  // namespace penstock::cli

// The cluster key: 32 random bytes that every server and client of a cluster holds, in a file of
// mode 0600 as 64 hex digits and a newline. Both sides of a connection prove it with HMAC-SHA256
// (docs/formats/wire.md); it is never sent.
#pragma once

#include <absl/status/statusor.h>

#include <array>
#include <string>
#include <string_view>

namespace penstock::net {

inline constexpr size_t kNonceBytes = 32;
inline constexpr size_t kProofBytes = 32;

class ClusterKey {
 public:
  static absl::StatusOr<ClusterKey> Generate();
  static absl::StatusOr<ClusterKey> FromHex(std::string_view hex);
  // Refuses a file that group or others may read, with the command that mends it.
  static absl::StatusOr<ClusterKey> Load(const std::string& path);
  // Creates the file with mode 0600; ALREADY_EXISTS when it is there.
  absl::Status Save(const std::string& path) const;

  std::string ToHex() const;
  // HMAC-SHA256 of `message`.
  std::string Prove(std::string_view message) const;
  // Constant time.
  bool Verify(std::string_view message, std::string_view proof) const;

 private:
  std::array<unsigned char, 32> bytes_{};
};

struct PeerCredentials {
  ClusterKey key;
  std::string cluster_id;  // empty on a client that does not know it yet
};

// 32 bytes from the kernel.
std::string RandomNonce();

}  // namespace penstock::net

#include "common/net/cluster_key.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/status.h"

namespace penstock::net {
namespace {

constexpr size_t kKeyBytes = 32;
constexpr size_t kMaxFileBytes = 256;

absl::Status FileError(absl::string_view what, const std::string& path, int err) {
  return PosixError(err, absl::StrCat(what, " ", path, ": ", std::strerror(err)));
}

absl::Status FillRandom(void* out, size_t size) {
  auto* p = static_cast<unsigned char*>(out);
  while (size > 0) {
    const ssize_t got = getrandom(p, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return PosixError(EIO, absl::StrCat("getrandom: ", std::strerror(errno)));
    p += got;
    size -= static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

absl::Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return FileError("write cluster key", path, n < 0 ? errno : EIO);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  if (fsync(fd) != 0) return FileError("sync cluster key", path, errno);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ClusterKey> ClusterKey::Generate() {
  ClusterKey key;
  RETURN_IF_ERROR(FillRandom(key.bytes_.data(), key.bytes_.size()));
  return key;
}

absl::StatusOr<ClusterKey> ClusterKey::FromHex(std::string_view hex) {
  const absl::string_view digits =
      absl::StripAsciiWhitespace(absl::string_view(hex.data(), hex.size()));
  if (digits.size() != 2 * kKeyBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a cluster key is ", 2 * kKeyBytes, " hex digits, not ", digits.size()));
  }
  for (char c : digits) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) {
      return absl::InvalidArgumentError("a cluster key has hex digits only");
    }
  }
  const std::string raw = absl::HexStringToBytes(digits);
  ClusterKey key;
  std::memcpy(key.bytes_.data(), raw.data(), kKeyBytes);
  return key;
}

absl::StatusOr<ClusterKey> ClusterKey::Load(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return FileError("open cluster key", path, errno);
  absl::Cleanup close_fd = [fd] { close(fd); };
  struct stat st {};
  if (fstat(fd, &st) != 0) return FileError("stat cluster key", path, errno);
  if (!S_ISREG(st.st_mode)) {
    return PosixError(EINVAL, absl::StrCat("cluster key ", path, " is not a regular file"));
  }
  if ((st.st_mode & 077) != 0) {
    return PosixError(EACCES, absl::StrCat("cluster key ", path,
                                           " may be read by others than its owner; mend it with: "
                                           "chmod 600 ",
                                           path));
  }
  char buffer[kMaxFileBytes];
  size_t length = 0;
  while (length < sizeof buffer) {
    const ssize_t got = read(fd, buffer + length, sizeof buffer - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError("read cluster key", path, errno);
    if (got == 0) break;
    length += static_cast<size_t>(got);
  }
  auto key = FromHex(std::string_view(buffer, length));
  OPENSSL_cleanse(buffer, sizeof buffer);
  if (!key.ok()) return Annotate(key.status(), path);
  return key;
}

absl::Status ClusterKey::Save(const std::string& path) const {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return FileError("create cluster key", path, errno);
  absl::Cleanup close_fd = [fd] { close(fd); };
  absl::Status written = WriteAll(fd, absl::StrCat(ToHex(), "\n"), path);
  if (!written.ok()) unlink(path.c_str());  // half a key must not look like a key
  return written;
}

std::string ClusterKey::ToHex() const {
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(bytes_.data()), bytes_.size()));
}

std::string ClusterKey::Prove(std::string_view message) const {
  std::string proof(kProofBytes, '\0');
  unsigned int length = 0;
  const unsigned char* done =
      HMAC(EVP_sha256(), bytes_.data(), static_cast<int>(bytes_.size()),
           reinterpret_cast<const unsigned char*>(message.data()), message.size(),
           reinterpret_cast<unsigned char*>(proof.data()), &length);
  INVARIANT(done != nullptr && length == kProofBytes);
  return proof;
}

bool ClusterKey::Verify(std::string_view message, std::string_view proof) const {
  const std::string expected = Prove(message);
  return proof.size() == expected.size() &&
         CRYPTO_memcmp(proof.data(), expected.data(), expected.size()) == 0;
}

std::string RandomNonce() {
  std::string nonce(kNonceBytes, '\0');
  // A nonce that is not random would let a recorded handshake be replayed: never go on without.
  INVARIANT(FillRandom(nonce.data(), nonce.size()).ok());
  return nonce;
}

}  // namespace penstock::net

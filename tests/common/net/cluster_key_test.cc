#include "common/net/cluster_key.h"

#include <absl/strings/escaping.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/status.h"

namespace penstock::net {
namespace {

struct KeyDir {
  KeyDir() {
    char name[] = "/tmp/penstock-key-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path = name;
  }
  ~KeyDir() { std::filesystem::remove_all(path); }
  std::string path;
};

TEST_CASE("a saved key is private and loads again", "[net][key]") {
  KeyDir dir;
  const std::string path = dir.path + "/cluster.key";
  auto key = ClusterKey::Generate();
  REQUIRE(key.ok());
  REQUIRE(key->Save(path) == absl::OkStatus());
  struct stat st {};
  REQUIRE(stat(path.c_str(), &st) == 0);
  REQUIRE((st.st_mode & 07777) == 0600);
  REQUIRE(st.st_size == 65);
  auto loaded = ClusterKey::Load(path);
  REQUIRE(loaded.ok());
  REQUIRE(loaded->ToHex() == key->ToHex());
  REQUIRE(absl::IsAlreadyExists(key->Save(path)));  // never overwritten
  REQUIRE(ClusterKey::Generate()->ToHex() != key->ToHex());
}

TEST_CASE("a key that others may read is refused with the cure", "[net][key]") {
  KeyDir dir;
  const std::string path = dir.path + "/cluster.key";
  REQUIRE(ClusterKey::Generate()->Save(path) == absl::OkStatus());
  for (mode_t mode : {0640, 0604, 0660, 0610}) {
    REQUIRE(chmod(path.c_str(), mode) == 0);
    const absl::Status status = ClusterKey::Load(path).status();
    REQUIRE(ErrnoOf(status) == EACCES);
    REQUIRE(status.message().find("chmod 600 " + path) != absl::string_view::npos);
  }
}

TEST_CASE("what is no key is refused", "[net][key]") {
  KeyDir dir;
  REQUIRE(ErrnoOf(ClusterKey::Load(dir.path + "/none").status()) == ENOENT);
  REQUIRE_FALSE(ClusterKey::Load(dir.path).ok());
  const std::string path = dir.path + "/k";
  for (std::string text : {std::string(), std::string(63, 'a'), std::string(65, 'a'),
                           std::string(64, 'g'), std::string(5000, 'a')}) {
    std::ofstream(path) << text;
    REQUIRE(chmod(path.c_str(), 0600) == 0);
    REQUIRE(absl::IsInvalidArgument(ClusterKey::Load(path).status()));
  }
  REQUIRE(ClusterKey::FromHex(std::string(64, 'F') + "\n").ok());
}

// RFC 4231, test case 2 has another key length; this is HMAC-SHA256 of "" under a key of zeros.
TEST_CASE("proofs are HMAC-SHA256", "[net][key]") {
  auto key = ClusterKey::FromHex(std::string(64, '0'));
  REQUIRE(absl::BytesToHexString(key->Prove("")) ==
          "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
  REQUIRE(key->Verify("m", key->Prove("m")));
  REQUIRE_FALSE(key->Verify("m", key->Prove("n")));
  REQUIRE_FALSE(key->Verify("m", ""));
  REQUIRE_FALSE(key->Verify("m", key->Prove("m") + "x"));
}

TEST_CASE("nonces differ", "[net][key]") {
  REQUIRE(RandomNonce().size() == kNonceBytes);
  REQUIRE(RandomNonce() != RandomNonce());
}

}  // namespace
}  // namespace penstock::net

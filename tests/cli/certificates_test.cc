#include "cli/certificates.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "cli/process.h"
#include "common/file.h"
#include "common/net/cluster_key.h"
#include "tests/cli/temporary_directory.h"

namespace penstock::cli {
namespace {

mode_t ModeOf(const std::string& path) {
  struct stat info;
  REQUIRE(stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

// OpenSSL's own judgement, through its command.
std::string Verify(const std::string& dir, const std::string& purpose, const std::string& name) {
  auto output = RunProgram({"openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile",
                            dir + "/ca.crt", dir + "/" + name + ".crt"});
  REQUIRE(output.ok());
  return output->text;
}

}  // namespace

TEST_CASE("the keys of a cluster are accepted by OpenSSL for their purpose", "[cli][keys]") {
  TemporaryDirectory dir;
  auto made = MakeKeys(dir / "keys", "0123456789");
  REQUIRE(made.ok());
  REQUIRE(*made == std::vector<std::string>{"cluster.key", "ca", "server", "admin"});
  const std::string keys = dir / "keys";
  REQUIRE_THAT(Verify(keys, "sslserver", "server"), Catch::EndsWith("server.crt: OK\n"));
  REQUIRE_THAT(Verify(keys, "sslclient", "server"), Catch::EndsWith("server.crt: OK\n"));
  REQUIRE_THAT(Verify(keys, "sslclient", "admin"), Catch::EndsWith("admin.crt: OK\n"));
  REQUIRE_THAT(Verify(keys, "sslserver", "admin"), Catch::Contains("error"));
  REQUIRE(net::ClusterKey::Load(keys + "/cluster.key").ok());
}

TEST_CASE("secrets are for their owner only, and nothing is made twice", "[cli][keys]") {
  TemporaryDirectory dir;
  REQUIRE(MakeKeys(dir / "keys", "").ok());
  REQUIRE(ModeOf(dir / "keys") == 0700);
  for (const char* name : {"cluster.key", "ca.key", "server.key", "admin.key"}) {
    REQUIRE(ModeOf(dir / "keys/" + name) == 0600);
  }
  const auto before = ReadSmallFile(PosixFileSystem(), dir / "keys/server.crt");
  auto again = MakeKeys(dir / "keys", "");
  REQUIRE(again.ok());
  REQUIRE(again->empty());
  REQUIRE(*ReadSmallFile(PosixFileSystem(), dir / "keys/server.crt") == *before);
}

TEST_CASE("half a pair of key and certificate is refused and kept", "[cli][keys]") {
  TemporaryDirectory dir;
  REQUIRE(MakeKeys(dir / "keys", "").ok());
  REQUIRE(PosixFileSystem()->Remove(dir / "keys/ca.crt").ok());
  auto made = MakeKeys(dir / "keys", "");
  REQUIRE_THAT(std::string(made.status().message()), Catch::Contains("ca.crt"));
  REQUIRE(*PosixFileSystem()->Exists(dir / "keys/ca.key"));
}

TEST_CASE("a server's certificate is for the name penstock and further names", "[cli][keys]") {
  const KeyAndCertificate ca = *MakeAuthority("test CA");
  auto pair = MakeCertificate(
      ca, {.common_name = "penstock node7", .server = true, .names = {"node7", "10.0.0.7"}});
  REQUIRE(pair.ok());
  auto info = DescribeCertificate(pair->certificate_pem);
  REQUIRE(info.ok());
  REQUIRE(info->names ==
          std::vector<std::string>{"DNS:penstock", "DNS:node7", "IP Address:10.0.0.7"});
  REQUIRE(info->subject == "CN=penstock node7");
  REQUIRE(info->issuer == "CN=test CA");
  REQUIRE_FALSE(info->authority);
  REQUIRE(DescribeCertificate(ca.certificate_pem)->authority);
  REQUIRE(info->sha256.size() == 64);
}

TEST_CASE("a CA with the key of another cannot sign", "[cli][keys]") {
  const KeyAndCertificate one = *MakeAuthority("one");
  const KeyAndCertificate two = *MakeAuthority("two");
  REQUIRE_FALSE(MakeCertificate({one.key_pem, two.certificate_pem}, {.common_name = "x"}).ok());
  REQUIRE_FALSE(MakeCertificate({"nonsense", one.certificate_pem}, {.common_name = "x"}).ok());
  REQUIRE_FALSE(DescribeCertificate("nonsense").ok());
}

}  // namespace penstock::cli

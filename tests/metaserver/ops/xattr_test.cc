#include <sys/xattr.h>

#include <catch2/catch.hpp>

#include "common/status.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/ops/read_operations.h"
#include "tests/metaserver/namespace_fixture.h"

namespace penstock::metaserver {
namespace {

struct Xattrs {
  NamespaceFixture fs{Paths{"/f"}};
  absl::Status Set(const std::string& name, const std::string& value, uint32_t flags = 0) {
    wire::SetxattrRequest request;
    *request.mutable_context() = fs.Context();
    request.set_ino(fs.InoOf("/f"));
    request.set_name(name);
    request.set_value(value);
    request.set_flags(flags);
    return fs.names().Mutate(Setxattr, request).status();
  }
  absl::StatusOr<std::string> Get(const std::string& name) {
    wire::GetxattrRequest request;
    request.mutable_context()->set_session_id(fs.session().value());
    request.set_ino(fs.InoOf("/f"));
    request.set_name(name);
    auto response = fs.names().Read(Getxattr, request);
    if (!response.ok()) return response.status();
    return response->value();
  }
  absl::Status Remove(const std::string& name) {
    wire::RemovexattrRequest request;
    *request.mutable_context() = fs.Context();
    request.set_ino(fs.InoOf("/f"));
    request.set_name(name);
    return fs.names().Mutate(Removexattr, request).status();
  }
  std::vector<std::string> List() {
    wire::ListxattrRequest request;
    request.mutable_context()->set_session_id(fs.session().value());
    request.set_ino(fs.InoOf("/f"));
    auto response = fs.names().Read(Listxattr, request);
    REQUIRE(response.ok());
    return {response->names().begin(), response->names().end()};
  }
};

}  // namespace

TEST_CASE("extended attributes are set, listed and removed", "[metaserver][xattr]") {
  Xattrs x;
  REQUIRE(x.Set("user.b", "").ok());
  REQUIRE(x.Set("user.a", std::string("v\0w", 3)).ok());
  REQUIRE(*x.Get("user.a") == std::string("v\0w", 3));
  REQUIRE(x.Get("user.b")->empty());
  REQUIRE(x.List() == std::vector<std::string>{"user.a", "user.b"});
  REQUIRE(ErrnoOf(x.Get("user.c").status()) == ENODATA);
  REQUIRE(x.Remove("user.a").ok());
  REQUIRE(ErrnoOf(x.Remove("user.a")) == ENODATA);
  REQUIRE(x.List() == std::vector<std::string>{"user.b"});
}

TEST_CASE("extended attributes keep to their flags and limits", "[metaserver][xattr]") {
  Xattrs x;
  REQUIRE(ErrnoOf(x.Set("user.a", "v", XATTR_REPLACE)) == ENODATA);
  REQUIRE(x.Set("user.a", "v", XATTR_CREATE).ok());
  REQUIRE(ErrnoOf(x.Set("user.a", "v", XATTR_CREATE)) == EEXIST);
  REQUIRE(x.Set("user.a", std::string(65536, 'v')).ok());
  REQUIRE(ErrnoOf(x.Set("user.a", std::string(65537, 'v'))) == E2BIG);
  REQUIRE(ErrnoOf(x.Set("user." + std::string(251, 'n'), "v")) == ERANGE);
  REQUIRE(ErrnoOf(x.Set("system.other", "v")) == EOPNOTSUPP);
  REQUIRE(ErrnoOf(x.Set("other.a", "v")) == EOPNOTSUPP);
  REQUIRE(ErrnoOf(x.Set("user.", "v")) == EINVAL);
  REQUIRE(ErrnoOf(x.Set(std::string("user.a\0b", 8), "v")) == EINVAL);
  int count = 0;
  absl::Status status;
  while (status.ok() && count < 1000) {
    status = x.Set("user." + std::string(240, 'n') + std::to_string(count++), "v");
  }
  REQUIRE(ErrnoOf(status) == ENOSPC);
}

}  // namespace penstock::metaserver

// Access control lists on inodes: set, removed, inherited, changed by chmod.
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "common/status.h"
#include "metaserver/acl/acl.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/ops/read_operations.h"
#include "tests/metaserver/namespace_fixture.h"

namespace penstock::metaserver {
namespace {

Acl ListOf(uint16_t user, uint16_t named, uint16_t group, uint16_t mask, uint16_t other) {
  return {{{AclTag::kUserObj, user},
           {AclTag::kUser, named, 1000},
           {AclTag::kGroupObj, group},
           {AclTag::kMask, mask},
           {AclTag::kOther, other}}};
}

const Acl kMinimal{{{AclTag::kUserObj, 6}, {AclTag::kGroupObj, 4}, {AclTag::kOther, 1}}};

struct Lists {
  NamespaceFixture fs{Paths{"/d/", "/f"}};

  int Set(const std::string& path, std::string_view name, const std::string& value) {
    wire::SetxattrRequest request;
    *request.mutable_context() = fs.Context();
    request.set_ino(fs.InoOf(path));
    request.set_name(std::string(name));
    request.set_value(value);
    return ErrnoOf(fs.names().Mutate(Setxattr, request).status());
  }
  int Set(const std::string& path, std::string_view name, const Acl& acl) {
    return Set(path, name, FormatAcl(acl));
  }
  int Remove(const std::string& path, std::string_view name) {
    wire::RemovexattrRequest request;
    *request.mutable_context() = fs.Context();
    request.set_ino(fs.InoOf(path));
    request.set_name(std::string(name));
    return ErrnoOf(fs.names().Mutate(Removexattr, request).status());
  }
  // Empty when there is none.
  Acl Get(const std::string& path, std::string_view name) {
    wire::GetxattrRequest request;
    request.mutable_context()->set_session_id(fs.session().value());
    request.set_ino(fs.InoOf(path));
    request.set_name(std::string(name));
    auto response = fs.names().Read(Getxattr, request);
    if (!response.ok()) {
      REQUIRE(ErrnoOf(response.status()) == ENODATA);
      return {};
    }
    return *ParseAcl(response->value());
  }
  uint32_t Mode(const std::string& path) { return fs.Lookup(path)->attr().mode() & 07777; }
  bool HasAcl(const std::string& path) { return fs.Lookup(path)->has_acl(); }
  void Chmod(const std::string& path, uint32_t mode) {
    wire::SetattrRequest request;
    request.set_ino(fs.InoOf(path));
    request.set_fields(wire::SETATTR_MODE);
    request.set_mode(mode);
    REQUIRE(fs.Setattr(request).ok());
  }
  uint32_t Create(const std::string& name, uint32_t mode, uint32_t umask) {
    wire::CreateRequest request;
    *request.mutable_context() = fs.Context();
    request.set_parent(fs.InoOf("/d"));
    request.set_name(name);
    request.set_mode(mode);
    request.set_umask(umask);
    auto created = fs.names().Mutate(metaserver::Create, request);
    REQUIRE(created.ok());
    return created->entry().attr().mode() & 07777;
  }
};

}  // namespace

TEST_CASE("an access list shows in the mode", "[metaserver][acl]") {
  Lists x;
  const uint64_t change = x.fs.Lookup("/f")->attr().change();
  REQUIRE(x.Set("/f", kAccessAcl, ListOf(7, 6, 1, 5, 4)) == 0);
  REQUIRE(x.Mode("/f") == 0754);
  REQUIRE(x.HasAcl("/f"));
  REQUIRE(x.fs.Lookup("/f")->attr().change() > change);
  x.fs.Reopen();
  x.fs.WaitForSessions();
  REQUIRE(x.Get("/f", kAccessAcl) == ListOf(7, 6, 1, 5, 4));
  REQUIRE(x.HasAcl("/f"));
}

TEST_CASE("a minimal access list is the mode and is not kept", "[metaserver][acl]") {
  Lists x;
  REQUIRE(x.Set("/f", kAccessAcl, ListOf(7, 6, 1, 5, 4)) == 0);
  REQUIRE(x.Set("/f", kAccessAcl, kMinimal) == 0);
  REQUIRE(x.Mode("/f") == 0641);
  REQUIRE(x.Get("/f", kAccessAcl).entries.empty());
  REQUIRE_FALSE(x.HasAcl("/f"));
}

TEST_CASE("chmod changes the list that is kept", "[metaserver][acl]") {
  Lists x;
  REQUIRE(x.Set("/f", kAccessAcl, ListOf(7, 6, 1, 5, 4)) == 0);
  x.Chmod("/f", 0620);
  REQUIRE(x.Get("/f", kAccessAcl) == ListOf(6, 6, 1, 2, 0));
  REQUIRE(x.Mode("/f") == 0620);
}

TEST_CASE("a list is removed by an empty one or by its name", "[metaserver][acl]") {
  Lists x;
  REQUIRE(x.Remove("/d", kAccessAcl) == ENODATA);
  REQUIRE(x.Set("/d", kAccessAcl, ListOf(7, 6, 1, 5, 4)) == 0);
  REQUIRE(x.Set("/d", kDefaultAcl, ListOf(7, 6, 1, 5, 4)) == 0);
  REQUIRE(x.Remove("/d", kAccessAcl) == 0);
  REQUIRE(x.HasAcl("/d"));
  REQUIRE(x.Mode("/d") == 0754);
  REQUIRE(x.Remove("/d", kAccessAcl) == ENODATA);
  REQUIRE(x.Set("/d", kDefaultAcl, std::string()) == 0);
  REQUIRE_FALSE(x.HasAcl("/d"));
  REQUIRE(x.Set("/d", kDefaultAcl, std::string()) == 0);
}

TEST_CASE("lists that make no sense, or are in the wrong place, are refused", "[metaserver][acl]") {
  Lists x;
  REQUIRE(x.fs.Symlink("/l", "f").ok());
  REQUIRE(x.Set("/f", kAccessAcl, "no list") == EOPNOTSUPP);
  REQUIRE(x.Set("/f", kAccessAcl, std::string("\2\0\0\0\1", 5)) == EINVAL);
  REQUIRE(x.Set("/f", kDefaultAcl, kMinimal) == EACCES);
  REQUIRE(x.Set("/l", kAccessAcl, kMinimal) == EOPNOTSUPP);
  REQUIRE(x.Mode("/f") == 0644);
}

TEST_CASE("setting a list from outside the group clears set-group-id", "[metaserver][acl]") {
  Lists x;
  x.Chmod("/f", 02755);
  REQUIRE(x.Set("/f", kAccessAcl, ListOf(7, 6, 5, 5, 5)) == 0);
  REQUIRE(x.Mode("/f") == 02755);
  x.fs.set_credentials(1000, 0);
  REQUIRE(x.Set("/f", kAccessAcl, ListOf(7, 6, 5, 5, 5)) == 0);
  REQUIRE(x.Mode("/f") == 02755);
  x.fs.set_credentials(1000, 1000);
  REQUIRE(x.Set("/f", kAccessAcl, ListOf(7, 6, 5, 5, 5)) == 0);
  REQUIRE(x.Mode("/f") == 0755);
}

TEST_CASE("the umask counts without a default list only", "[metaserver][acl]") {
  Lists x;
  REQUIRE(x.Create("a", 0666, 022) == 0644);
  REQUIRE(x.Set("/d", kDefaultAcl, ListOf(7, 6, 5, 7, 5)) == 0);
  REQUIRE(x.Create("b", 0666, 077) == 0664);
  REQUIRE(x.Get("/d/b", kAccessAcl) == ListOf(6, 6, 5, 6, 4));
  REQUIRE(x.Get("/d/b", kDefaultAcl).entries.empty());
  REQUIRE(x.Set("/d", kDefaultAcl, kMinimal) == 0);
  REQUIRE(x.Create("c", 0777, 077) == 0641);
  REQUIRE_FALSE(x.HasAcl("/d/c"));
}

TEST_CASE("directories inherit the default list itself, symbolic links none", "[metaserver][acl]") {
  Lists x;
  REQUIRE(x.Set("/d", kDefaultAcl, ListOf(7, 6, 5, 7, 5)) == 0);
  REQUIRE(x.fs.Mkdir("/d/e", 0750).ok());
  REQUIRE(x.Get("/d/e", kDefaultAcl) == ListOf(7, 6, 5, 7, 5));
  REQUIRE(x.Get("/d/e", kAccessAcl) == ListOf(7, 6, 5, 5, 0));
  REQUIRE(x.Mode("/d/e") == 0750);
  REQUIRE(x.fs.Symlink("/d/l", "x").ok());
  REQUIRE(x.Mode("/d/l") == 0777);
  REQUIRE_FALSE(x.HasAcl("/d/l"));
}

TEST_CASE("set-group-id of an executable needs the group that the parent gives",
          "[metaserver][create]") {
  Lists x;
  x.Chmod("/d", 02777);
  REQUIRE(x.Create("root", 02755, 0) == 02755);
  x.fs.set_credentials(1000, 1000);
  REQUIRE(x.Create("outside", 02755, 0) == 0755);
  REQUIRE(x.Create("locking", 02745, 0) == 02745);
  x.fs.set_credentials(1000, 0);
  REQUIRE(x.Create("member", 02755, 0) == 02755);
}

TEST_CASE("create opens a file that came up meanwhile only for those it lets in",
          "[metaserver][create]") {
  Lists x;
  const auto open = [&](bool read, bool write) {
    wire::CreateRequest request;
    *request.mutable_context() = x.fs.Context();
    request.set_parent(kRootInode.value());
    request.set_name("f");
    request.set_read(read);
    request.set_write(write);
    return ErrnoOf(x.fs.names().Mutate(metaserver::Create, request).status());
  };
  x.fs.set_credentials(1000, 1000);
  REQUIRE(open(true, false) == 0);
  REQUIRE(open(true, true) == EACCES);
  REQUIRE(x.Set("/f", kAccessAcl, ListOf(7, 6, 0, 7, 0)) == 0);
  REQUIRE(open(true, true) == 0);
  x.fs.set_credentials(1001, 1000);
  REQUIRE(open(true, false) == EACCES);
  x.fs.set_credentials(0, 0);
  REQUIRE(open(true, true) == 0);
}

TEST_CASE("create leaves what is no regular file to the kernel", "[metaserver][create]") {
  Lists x;
  REQUIRE(x.fs.Symlink("/l", "f").ok());
  REQUIRE(ErrnoOf(x.fs.Create("/l", 0644, /*exclusive=*/false).status()) == ESTALE);
  REQUIRE(ErrnoOf(x.fs.Create("/l", 0644, /*exclusive=*/true).status()) == EEXIST);
}

TEST_CASE("an inode is found by its number until it is removed", "[metaserver][lookup]") {
  Lists x;
  const uint64_t ino = x.fs.InoOf("/f");
  const auto lookup = [&] {
    wire::LookupRequest request;
    request.mutable_context()->set_session_id(x.fs.session().value());
    request.set_parent(ino);
    request.set_name(".");
    return x.fs.names().Read(Lookup, request);
  };
  REQUIRE(lookup()->entry().attr().ino() == ino);
  REQUIRE(x.fs.Unlink("/f").ok());
  REQUIRE(ErrnoOf(lookup().status()) == ESTALE);
}

}  // namespace penstock::metaserver

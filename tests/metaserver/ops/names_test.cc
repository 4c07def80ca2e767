#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "common/status.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/ops/read_operations.h"
#include "tests/metaserver/namespace_fixture.h"

namespace penstock::metaserver {

TEST_CASE("a new store has a root directory whose parent is itself", "[metaserver][lookup]") {
  NamespaceFixture fs;
  auto root = fs.Lookup("/");
  REQUIRE(root.ok());
  REQUIRE(root->attr().ino() == kRootInode.value());
  REQUIRE(root->attr().nlink() == 2);
  REQUIRE(S_ISDIR(root->attr().mode()));
  REQUIRE(fs.Lookup("/..")->attr().ino() == kRootInode.value());
}

TEST_CASE("lookup knows '.' and '..' and says ENOENT and ENOTDIR", "[metaserver][lookup]") {
  NamespaceFixture fs({"/a/", "/a/f"});
  const auto lookup = [&](const std::string& parent, const std::string& name) {
    wire::LookupRequest request;
    request.mutable_context()->set_session_id(fs.session().value());
    request.set_parent(fs.InoOf(parent));
    request.set_name(name);
    return fs.names().Read(Lookup, request);
  };
  REQUIRE(lookup("/a", ".")->entry().attr().ino() == fs.InoOf("/a"));
  REQUIRE(lookup("/a", "..")->entry().attr().ino() == kRootInode.value());
  REQUIRE(ErrnoOf(lookup("/a", "none").status()) == ENOENT);
  REQUIRE(ErrnoOf(lookup("/a/f", "x").status()) == ENOTDIR);
  REQUIRE(ErrnoOf(lookup("/a", std::string(256, 'x')).status()) == ENAMETOOLONG);
}

TEST_CASE("an unknown session is refused", "[metaserver][session]") {
  NamespaceFixture fs;
  wire::GetattrRequest request;
  request.mutable_context()->set_session_id(12345);
  request.set_ino(kRootInode.value());
  REQUIRE(ReasonOf(fs.names().Read(Getattr, request).status()) == Reason::kSessionUnknown);
}

TEST_CASE("create makes an empty inline file with ids ready", "[metaserver][create]") {
  NamespaceFixture fs;
  fs.set_credentials(1000, 100);
  auto created = fs.Create("/f", 0640);
  REQUIRE(created.ok());
  REQUIRE(created->created());
  const wire::Entry& entry = created->entry();
  REQUIRE(entry.attr().mode() == (S_IFREG | 0640u));
  REQUIRE(entry.attr().uid() == 1000);
  REQUIRE(entry.attr().gid() == 100);
  REQUIRE(entry.attr().nlink() == 1);
  REQUIRE(entry.is_inline());
  REQUIRE(entry.layout().content_id() != 0);
  REQUIRE(entry.layout().chunk_size_log2() == 22);
  REQUIRE(entry.log_index() == fs.log().last_index());
  REQUIRE(ErrnoOf(fs.Create("/f").status()) == EEXIST);
  auto again = fs.Create("/f", 0600, /*exclusive=*/false);
  REQUIRE(again.ok());
  REQUIRE_FALSE(again->created());
  REQUIRE(again->entry().attr().ino() == entry.attr().ino());
}

TEST_CASE("bad names are refused", "[metaserver][create]") {
  NamespaceFixture fs({"/d/"});
  REQUIRE(ErrnoOf(fs.Create("/" + std::string(256, 'n')).status()) == ENAMETOOLONG);
  REQUIRE(fs.Create("/" + std::string(255, 'n')).ok());
  REQUIRE(ErrnoOf(fs.Mkdir("/d/.").status()) == EEXIST);
  REQUIRE(ErrnoOf(fs.Create("/d", 0644, false).status()) == EISDIR);
  REQUIRE(ErrnoOf(fs.Create("/missing/f").status()) == ESTALE);  // no such parent inode
}

TEST_CASE("directories count their entries and links", "[metaserver][mkdir]") {
  NamespaceFixture fs({"/d/", "/d/a/", "/d/b/", "/d/f"});
  REQUIRE(fs.Lookup("/d")->attr().size() == 3);
  REQUIRE(fs.Lookup("/d")->attr().nlink() == 4);
  fs.clock().Advance(absl::Seconds(5));
  const auto before = fs.Lookup("/d")->attr();
  REQUIRE(fs.Rmdir("/d/a").ok());
  const auto after = fs.Lookup("/d")->attr();
  REQUIRE(after.nlink() == 3);
  REQUIRE(after.size() == 2);
  REQUIRE(after.mtime().seconds() == before.mtime().seconds() + 5);
  REQUIRE(after.change() > before.change());
  REQUIRE(fs.Problems().empty());
}

TEST_CASE("a set-group-id directory gives its group", "[metaserver][mkdir]") {
  NamespaceFixture fs({"/d/"});
  wire::SetattrRequest chmod;
  chmod.set_ino(fs.InoOf("/d"));
  chmod.set_fields(wire::SETATTR_MODE | wire::SETATTR_GID);
  chmod.set_mode(02775);
  chmod.set_gid(77);
  REQUIRE(fs.Setattr(chmod).ok());
  fs.set_credentials(1000, 100);
  REQUIRE(fs.Create("/d/f")->entry().attr().gid() == 77);
  auto sub = fs.Mkdir("/d/sub", 0755);
  REQUIRE(sub->entry().attr().gid() == 77);
  REQUIRE((sub->entry().attr().mode() & S_ISGID) != 0);
}

TEST_CASE("rmdir and unlink keep to their kinds", "[metaserver][unlink]") {
  NamespaceFixture fs({"/d/", "/d/f"});
  REQUIRE(ErrnoOf(fs.Rmdir("/d")) == ENOTEMPTY);
  REQUIRE(ErrnoOf(fs.Rmdir("/d/f")) == ENOTDIR);
  REQUIRE(ErrnoOf(fs.Unlink("/d").status()) == EISDIR);
  REQUIRE(ErrnoOf(fs.Unlink("/none").status()) == ENOENT);
  REQUIRE(fs.Unlink("/d/f").ok());
  REQUIRE(fs.Rmdir("/d").ok());
  REQUIRE(fs.Tree().empty());
}

TEST_CASE("nothing can be made in a removed directory", "[metaserver][rmdir]") {
  NamespaceFixture fs({"/d/"});
  const uint64_t ino = fs.InoOf("/d");
  REQUIRE(fs.Rmdir("/d").ok());
  wire::CreateRequest request;
  *request.mutable_context() = fs.Context();
  request.set_parent(ino);
  request.set_name("f");
  REQUIRE(ErrnoOf(fs.names().Mutate(Create, request).status()) == ENOENT);
  REQUIRE(fs.Getattr(ino)->attr().nlink() == 0);  // still readable by its number
}

TEST_CASE("hard links count and end", "[metaserver][link]") {
  NamespaceOptions options;
  options.max_links = 3;
  NamespaceFixture fs({"/a", "/d/"}, options);
  REQUIRE(fs.Link("/a", "/b")->entry().attr().nlink() == 2);
  REQUIRE(fs.Link("/a", "/d/c")->entry().attr().nlink() == 3);
  REQUIRE(ErrnoOf(fs.Link("/a", "/e").status()) == EMLINK);
  REQUIRE(ErrnoOf(fs.Link("/a", "/b").status()) == EEXIST);
  REQUIRE(ErrnoOf(fs.Link("/d", "/e").status()) == EPERM);
  REQUIRE(fs.Unlink("/a")->removed().attr().nlink() == 2);
  REQUIRE(fs.InoOf("/b") == fs.InoOf("/d/c"));
}

TEST_CASE("symbolic links and special files keep what they were given", "[metaserver][mknod]") {
  NamespaceFixture fs;
  auto link = fs.Symlink("/s", "some/where");
  REQUIRE(link->entry().symlink_target() == "some/where");
  REQUIRE(link->entry().attr().size() == 10);
  wire::ReadlinkRequest readlink;
  readlink.mutable_context()->set_session_id(fs.session().value());
  readlink.set_ino(fs.InoOf("/s"));
  REQUIRE(fs.names().Read(Readlink, readlink)->target() == "some/where");
  readlink.set_ino(kRootInode.value());
  REQUIRE(ErrnoOf(fs.names().Read(Readlink, readlink).status()) == EINVAL);

  for (uint32_t type : {S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK}) {
    wire::MknodRequest mknod;
    *mknod.mutable_context() = fs.Context();
    mknod.set_parent(kRootInode.value());
    mknod.set_name("n" + std::to_string(type));
    mknod.set_mode(type | 0600);
    mknod.set_rdev(0x105);
    auto made = fs.names().Mutate(Mknod, mknod);
    REQUIRE(made.ok());
    REQUIRE(made->entry().attr().mode() == (type | 0600));
    const bool device = S_ISCHR(type) || S_ISBLK(type);
    REQUIRE(made->entry().attr().rdev() == (device ? 0x105 : 0));
  }
}

TEST_CASE("readdir goes on where it stopped, in byte order", "[metaserver][readdir]") {
  NamespaceFixture fs({"/d/"});
  std::vector<std::string> expected;
  for (int i = 0; i < 40; ++i) expected.push_back("f" + std::to_string(i));
  for (const std::string& name : expected) REQUIRE(fs.Create("/d/" + name).ok());
  std::sort(expected.begin(), expected.end());
  REQUIRE(fs.List(fs.InoOf("/d")) == expected);

  wire::ReaddirRequest request;
  request.mutable_context()->set_session_id(fs.session().value());
  request.set_ino(fs.InoOf("/d"));
  request.set_with_entries(true);
  auto page = fs.names().Read(Readdir, request);
  REQUIRE(page->end());
  REQUIRE(page->entries_size() == 40);
  REQUIRE(page->parent() == kRootInode.value());
  REQUIRE(page->entries(0).entry().attr().ino() == page->entries(0).ino());
  request.set_ino(fs.InoOf("/d/f1"));
  REQUIRE(ErrnoOf(fs.names().Read(Readdir, request).status()) == ENOTDIR);
}

TEST_CASE("a readdir reply is bounded in bytes", "[metaserver][readdir]") {
  NamespaceFixture fs;
  for (int i = 0; i < 400; ++i) {
    const std::string path = "/f" + std::to_string(i);
    REQUIRE(fs.Create(path).ok());
    REQUIRE(fs.PublishInline(path, std::string(4096, 'x')).ok());
  }
  wire::ReaddirRequest request;
  request.mutable_context()->set_session_id(fs.session().value());
  request.set_ino(kRootInode.value());
  request.set_with_entries(true);
  request.set_limit(10000);
  auto page = fs.names().Read(Readdir, request);
  REQUIRE_FALSE(page->end());
  REQUIRE(page->ByteSizeLong() < (1 << 20) + 16384);
}

}  // namespace penstock::metaserver

#include <catch2/catch.hpp>

#include "common/status.h"
#include "tests/metaserver/namespace_fixture.h"

namespace penstock::metaserver {

TEST_CASE("rename onto a non-empty directory fails with ENOTEMPTY", "[metaserver][rename]") {
  NamespaceFixture fs({"/a/", "/b/", "/b/file"});
  REQUIRE(ErrnoOf(fs.Rename("/a", "/b")) == ENOTEMPTY);
  REQUIRE(fs.Tree() == Paths{"/a/", "/b/", "/b/file"});  // nothing moved
}

TEST_CASE("rename moves files and directories with their counts", "[metaserver][rename]") {
  NamespaceFixture fs({"/a/", "/a/x/", "/a/f", "/b/"});
  const uint64_t x = fs.InoOf("/a/x");
  REQUIRE(fs.Rename("/a/x", "/b/y").ok());
  REQUIRE(fs.Rename("/a/f", "/b/g").ok());
  REQUIRE(fs.InoOf("/b/y") == x);
  REQUIRE(fs.InoOf("/b/y/..") == fs.InoOf("/b"));
  REQUIRE(fs.Tree() == Paths{"/a/", "/b/", "/b/g", "/b/y/"});
  REQUIRE(fs.Problems().empty());
}

TEST_CASE("rename replaces a file and an empty directory", "[metaserver][rename]") {
  NamespaceFixture fs({"/a/", "/b/", "/f", "/g"});
  const uint64_t a = fs.InoOf("/a"), f = fs.InoOf("/f"), g = fs.InoOf("/g");
  REQUIRE(fs.Rename("/a", "/b").ok());
  REQUIRE(fs.Rename("/f", "/g").ok());
  REQUIRE(fs.InoOf("/b") == a);
  REQUIRE(fs.InoOf("/g") == f);
  REQUIRE(fs.Getattr(g)->attr().nlink() == 0);  // an orphan, still readable
  REQUIRE(fs.Problems().empty());
}

TEST_CASE("rename refuses mixed kinds", "[metaserver][rename]") {
  NamespaceFixture fs({"/d/", "/f"});
  REQUIRE(ErrnoOf(fs.Rename("/d", "/f")) == ENOTDIR);
  REQUIRE(ErrnoOf(fs.Rename("/f", "/d")) == EISDIR);
  REQUIRE(ErrnoOf(fs.Rename("/none", "/x")) == ENOENT);
}

TEST_CASE("a directory cannot move below itself", "[metaserver][rename]") {
  NamespaceFixture fs({"/a/", "/a/b/", "/a/b/c/"});
  REQUIRE(ErrnoOf(fs.Rename("/a", "/a/x")) == EINVAL);
  REQUIRE(ErrnoOf(fs.Rename("/a", "/a/b/c/x")) == EINVAL);
  REQUIRE(ErrnoOf(fs.Rename("/a/b/c", "/a")) == ENOTEMPTY);
  REQUIRE(fs.Tree() == Paths{"/a/", "/a/b/", "/a/b/c/"});
}

TEST_CASE("NOREPLACE refuses what exists", "[metaserver][rename]") {
  NamespaceFixture fs({"/a", "/b"});
  REQUIRE(ErrnoOf(fs.Rename("/a", "/b", wire::RENAME_FLAG_NOREPLACE)) == EEXIST);
  REQUIRE(fs.Rename("/a", "/c", wire::RENAME_FLAG_NOREPLACE).ok());
  REQUIRE(ErrnoOf(fs.Rename("/b", "/d", 3)) == EINVAL);
  REQUIRE(ErrnoOf(fs.Rename("/b", "/d", 4)) == EINVAL);
}

TEST_CASE("EXCHANGE swaps a file and a directory of two parents", "[metaserver][rename]") {
  NamespaceFixture fs({"/p/", "/p/d/", "/p/d/in", "/q/", "/q/f"});
  const uint64_t d = fs.InoOf("/p/d"), f = fs.InoOf("/q/f");
  REQUIRE(fs.Rename("/p/d", "/q/f", wire::RENAME_FLAG_EXCHANGE).ok());
  REQUIRE(fs.InoOf("/q/f") == d);
  REQUIRE(fs.InoOf("/p/d") == f);
  REQUIRE(fs.InoOf("/q/f/..") == fs.InoOf("/q"));
  REQUIRE(fs.Problems().empty());
  REQUIRE(ErrnoOf(fs.Rename("/q/f", "/none", wire::RENAME_FLAG_EXCHANGE)) == ENOENT);
  REQUIRE(ErrnoOf(fs.Rename("/q/f/in", "/q", wire::RENAME_FLAG_EXCHANGE)) == EINVAL);
  REQUIRE(ErrnoOf(fs.Rename("/q", "/q/f/in", wire::RENAME_FLAG_EXCHANGE)) == EINVAL);
}

TEST_CASE("EXCHANGE in one directory leaves its links alone", "[metaserver][rename]") {
  NamespaceFixture fs({"/p/", "/p/d/", "/p/f", "/p/e/"});
  for (const char* other : {"/p/f", "/p/e", "/p/f"}) {
    REQUIRE(fs.Rename("/p/d", other, wire::RENAME_FLAG_EXCHANGE).ok());
    REQUIRE(fs.Problems().empty());
  }
}

TEST_CASE("renaming one link of a file onto another changes nothing", "[metaserver][rename]") {
  NamespaceFixture fs({"/a"});
  REQUIRE(fs.Link("/a", "/b").ok());
  REQUIRE(fs.Rename("/a", "/b").ok());
  REQUIRE(fs.Tree() == Paths{"/a", "/b"});
  REQUIRE(fs.Lookup("/a")->attr().nlink() == 2);
}

TEST_CASE("rename keeps to the limit of a directory's links", "[metaserver][rename]") {
  NamespaceOptions options;
  options.max_links = 4;
  NamespaceFixture fs({"/full/", "/full/a/", "/full/b/", "/d/", "/d/sub/", "/d/file"}, options);
  REQUIRE(ErrnoOf(fs.Rename("/d/sub", "/full/c")) == EMLINK);
  REQUIRE(fs.Rename("/d/file", "/full/file").ok());
  REQUIRE(ErrnoOf(fs.Rename("/full/file", "/d/sub", wire::RENAME_FLAG_EXCHANGE)) == EMLINK);
  REQUIRE(fs.Rename("/d/sub", "/full/a").ok());  // one for one
  REQUIRE(fs.Rename("/full/a", "/full/c").ok());
  REQUIRE(fs.Tree() == Paths{"/d/", "/full/", "/full/b/", "/full/c/", "/full/file"});
  REQUIRE(fs.Problems().empty());
}

}  // namespace penstock::metaserver

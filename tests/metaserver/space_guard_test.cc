#include "metaserver/space_guard.h"

#include <catch2/catch.hpp>

#include <cerrno>

#include "common/status.h"
#include "tests/metaserver/namespace_fixture.h"

using namespace penstock;
using namespace penstock::metaserver;
using Catch::Contains;

namespace {

// Only Space() is asked for.
class DiskOf : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string&, OpenMode) override { return No(); }
  absl::StatusOr<bool> Exists(const std::string&) override { return No(); }
  absl::Status MakeDirectory(const std::string&) override { return No(); }
  absl::StatusOr<std::vector<std::string>> List(const std::string&) override { return No(); }
  absl::Status Rename(const std::string&, const std::string&) override { return No(); }
  absl::Status Remove(const std::string&) override { return No(); }
  absl::Status SyncDirectory(const std::string&) override { return No(); }
  absl::StatusOr<DiskSpace> Space(const std::string&) override {
    return DiskSpace{1000, free_bytes, 1};
  }
  uint64_t free_bytes = 0;

 private:
  static absl::Status No() { return absl::UnimplementedError("not of this disk"); }
};

}  // namespace

TEST_CASE("below the reserve nothing is added, until there is more than it again",
          "[metaserver][space]") {
  DiskOf disk;
  int recovered = 0;
  absl::Status recovery;
  SpaceGuard guard({.dir = "/meta", .reserve_bytes = 80}, &disk, [&] {
    ++recovered;
    return recovery;
  });
  disk.free_bytes = 80;
  guard.Look();
  REQUIRE(guard.CheckRoom().ok());
  REQUIRE(guard.Problem().empty());
  disk.free_bytes = 79;
  guard.Look();
  REQUIRE(ErrnoOf(guard.CheckRoom()) == ENOSPC);
  REQUIRE_THAT(guard.Problem(), Contains("/meta") && Contains("read-only (ENOSPC)"));
  REQUIRE(recovered == 1);  // not while it is full
  disk.free_bytes = 89;
  guard.Look();
  REQUIRE(ErrnoOf(guard.CheckRoom()) == ENOSPC);
  disk.free_bytes = 90;
  recovery = absl::UnavailableError("the log does not write yet");
  guard.Look();
  REQUIRE(ErrnoOf(guard.CheckRoom()) == ENOSPC);
  recovery = absl::OkStatus();
  guard.Look();
  REQUIRE(guard.CheckRoom().ok());
}

TEST_CASE("without room what adds is ENOSPC, and what frees or reads is done",
          "[metaserver][space]") {
  bool room = true;
  NamespaceOptions options;
  options.room = [&room]() -> absl::Status {
    if (room) return absl::OkStatus();
    return PosixError(ENOSPC, "full");
  };
  NamespaceFixture fs({"/d/", "/empty/", "/f", "/g", "/h"}, options);
  REQUIRE(fs.PublishInline("/h", "hello").ok());
  REQUIRE(fs.PublishChunks("/g", 10 << 20).ok());
  room = false;
  REQUIRE(ErrnoOf(fs.Create("/new").status()) == ENOSPC);
  REQUIRE(ErrnoOf(fs.Mkdir("/newdir").status()) == ENOSPC);
  REQUIRE(ErrnoOf(fs.Symlink("/s", "target").status()) == ENOSPC);
  REQUIRE(ErrnoOf(fs.Link("/f", "/l").status()) == ENOSPC);
  REQUIRE(ErrnoOf(fs.Rename("/f", "/f2")) == ENOSPC);
  REQUIRE(ErrnoOf(fs.PublishInline("/f", "more").status()) == ENOSPC);
  wire::SetattrRequest chmod;
  chmod.set_ino(fs.InoOf("/f"));
  chmod.set_fields(wire::SETATTR_MODE);
  chmod.set_mode(0600);
  REQUIRE(ErrnoOf(fs.Setattr(chmod).status()) == ENOSPC);
  REQUIRE(fs.Lookup("/h").ok());
  REQUIRE(fs.PublishChunks("/g", 11 << 20).ok());  // written bytes are not lost
  REQUIRE(fs.Truncate("/g", 5 << 20).ok());
  REQUIRE(fs.Truncate("/h", 0).ok());
  REQUIRE(fs.Unlink("/f").ok());
  REQUIRE(fs.Rmdir("/empty").ok());
  REQUIRE(fs.Tree() == Paths{"/d/", "/g", "/h"});
  room = true;
  REQUIRE(fs.Create("/new").ok());
}

#include <catch2/catch.hpp>

#include "common/status.h"
#include "metaserver/ops/mutations.h"
#include "tests/metaserver/namespace_fixture.h"

namespace penstock::metaserver {
namespace {

wire::MkdirRequest MkdirOf(NamespaceFixture& fs, const std::string& name) {
  wire::MkdirRequest request;
  *request.mutable_context() = fs.Context();
  request.set_parent(kRootInode.value());
  request.set_name(name);
  request.set_mode(0755);
  return request;
}

}  // namespace

TEST_CASE("a repeated mutation gets its first answer", "[metaserver][slots]") {
  NamespaceFixture fs;
  const wire::MkdirRequest request = MkdirOf(fs, "d");
  auto first = fs.names().Mutate(Mkdir, request);
  REQUIRE(first.ok());
  const uint64_t index = fs.log().last_index();
  auto repeat = fs.names().Mutate(Mkdir, request);
  REQUIRE(repeat.ok());
  REQUIRE(repeat->entry().attr().ino() == first->entry().attr().ino());
  REQUIRE(fs.log().last_index() == index);
  for (bool kill : {false, true}) {
    fs.Reopen(kill);
    fs.WaitForSessions();
    repeat = fs.names().Mutate(Mkdir, request);
    REQUIRE(repeat.ok());
    REQUIRE(repeat->entry().attr().ino() == first->entry().attr().ino());
  }
}

TEST_CASE("a repeated publish gets its entry with the inline content", "[metaserver][slots]") {
  NamespaceFixture fs({"/f"});
  wire::PublishRequest request;
  *request.mutable_context() = fs.Context();
  request.set_ino(fs.InoOf("/f"));
  request.set_set_inline(true);
  request.set_inline_data("hello");
  request.set_expected_data_version(1);
  auto first = fs.names().Mutate(Publish, request);
  REQUIRE(first->entry().inline_data() == "hello");
  auto repeat = fs.names().Mutate(Publish, request);
  REQUIRE(repeat->entry().inline_data() == "hello");
  REQUIRE(repeat->entry().attr().data_version() == first->entry().attr().data_version());
}

TEST_CASE("a repeated failure gets its first answer", "[metaserver][slots]") {
  NamespaceFixture fs({"/d/"});
  const wire::MkdirRequest request = MkdirOf(fs, "d");
  REQUIRE(ErrnoOf(fs.names().Mutate(Mkdir, request).status()) == EEXIST);
  wire::RmdirRequest rmdir;
  *rmdir.mutable_context() = fs.Context();
  rmdir.mutable_context()->set_slot(1);
  rmdir.set_parent(kRootInode.value());
  rmdir.set_name("d");
  REQUIRE(fs.names().Mutate(Rmdir, rmdir).ok());
  REQUIRE(ErrnoOf(fs.names().Mutate(Mkdir, request).status()) == EEXIST);
}

TEST_CASE("an older sequence of a slot is refused", "[metaserver][slots]") {
  NamespaceFixture fs;
  const wire::MkdirRequest old = MkdirOf(fs, "a");
  REQUIRE(fs.names().Mutate(Mkdir, MkdirOf(fs, "b")).ok());
  REQUIRE(ReasonOf(fs.names().Mutate(Mkdir, old).status()) == Reason::kOldSequence);
  fs.Reopen();
  fs.WaitForSessions();
  REQUIRE(ReasonOf(fs.names().Mutate(Mkdir, old).status()) == Reason::kOldSequence);
  REQUIRE(fs.Tree() == Paths{"/b/"});
}

TEST_CASE("\"try again\" is no result: the repeat runs afresh", "[metaserver][slots]") {
  NamespaceFixture fs({"/f"});
  REQUIRE(fs.PublishChunks("/f", 100 << 20).ok());
  auto cut = fs.Truncate("/f", 1 << 20);
  wire::SetattrRequest request;
  *request.mutable_context() = fs.Context();
  request.set_ino(fs.InoOf("/f"));
  request.set_fields(wire::SETATTR_SIZE);
  request.set_size(2 << 20);  // larger: not before the cut is done
  REQUIRE(absl::IsAborted(fs.names().Mutate(Setattr, request).status()));
  wire::TruncateDoneRequest done;
  *done.mutable_context() = fs.Context();
  done.mutable_context()->set_slot(3);
  done.set_ino(fs.InoOf("/f"));
  done.set_truncate_intent(cut->truncate_intent());
  REQUIRE(fs.names().Mutate(TruncateDone, done).ok());
  REQUIRE(fs.names().Mutate(Setattr, request).ok());
}

TEST_CASE("slots are bounded and sessions end", "[metaserver][slots]") {
  NamespaceFixture fs;
  wire::MkdirRequest request = MkdirOf(fs, "a");
  request.mutable_context()->set_slot(32);
  REQUIRE(absl::IsInvalidArgument(fs.names().Mutate(Mkdir, request).status()));
  REQUIRE(fs.names().sessions().CloseSession(fs.session()).ok());
  REQUIRE(ReasonOf(fs.names().Mutate(Mkdir, MkdirOf(fs, "b")).status()) == Reason::kSessionUnknown);
}

}  // namespace penstock::metaserver

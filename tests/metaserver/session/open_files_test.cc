#include <catch2/catch.hpp>

#include "common/status.h"
#include "tests/metaserver/namespace_fixture.h"

namespace penstock::metaserver {
namespace {

constexpr InodeNumber kFile(kRootDataset, 77);

wire::SessionHeartbeatRequest Beat(SessionId session) {
  wire::SessionHeartbeatRequest beat;
  beat.set_session_id(session.value());
  return beat;
}

}  // namespace

TEST_CASE("holders and other writers follow the reports", "[metaserver][session]") {
  NamespaceFixture fs;
  SessionTable& sessions = fs.names().sessions();
  const SessionId a = fs.session();
  const SessionId b = fs.OpenSession("node2");
  REQUIRE_FALSE(sessions.IsHeld(kFile));
  sessions.NoteOpen(a, kFile, {.write = true});
  sessions.NoteOpen(a, kFile, {});  // still for writing
  REQUIRE(sessions.IsHeld(kFile));
  REQUIRE_FALSE(sessions.OtherWriters(kFile, a));
  REQUIRE(sessions.OtherWriters(kFile, b));
  auto beat = Beat(b);
  beat.add_opened_write(kFile.value());
  REQUIRE(sessions.Heartbeat(beat).ok());
  REQUIRE(sessions.Heartbeat(beat).ok());  // a repeat
  REQUIRE(sessions.OtherWriters(kFile, a));
  beat = Beat(b);
  beat.add_opened(kFile.value());
  beat.add_released_write(kFile.value());
  REQUIRE(sessions.Heartbeat(beat).ok());
  REQUIRE_FALSE(sessions.OtherWriters(kFile, a));
  fs.Report(a);
  REQUIRE_FALSE(sessions.OtherWriters(kFile, b));
  REQUIRE(sessions.IsHeld(kFile));  // b reads
  beat = Beat(b);
  beat.add_released(kFile.value());
  REQUIRE(sessions.Heartbeat(beat).ok());
  REQUIRE_FALSE(sessions.IsHeld(kFile));
}

TEST_CASE("a session's open files and words are bounded", "[metaserver][session]") {
  NamespaceOptions options;
  options.sessions.max_opens_per_session = 3;
  NamespaceFixture fs({}, options);
  SessionTable& sessions = fs.names().sessions();
  auto beat = Beat(fs.session());
  for (uint64_t ino : {1, 2, 3}) beat.add_opened(ino);
  REQUIRE(sessions.Heartbeat(beat).ok());
  beat.set_whole(true);  // in place of what it said before
  REQUIRE(sessions.Heartbeat(beat).ok());
  beat.add_opened(4);
  REQUIRE(absl::IsResourceExhausted(sessions.Heartbeat(beat)));
  wire::OpenSessionRequest request;
  request.set_hostname(std::string(4097, 'h'));
  REQUIRE(absl::IsInvalidArgument(sessions.OpenSession(request, "127.0.0.1:1").status()));
}

}  // namespace penstock::metaserver

#include "metaserver/cluster/registration.h"

#include "common/status.h"
#include "tests/metaserver/cluster/cluster_fixture.h"

using namespace penstock;
using namespace penstock::metaserver;
using Catch::Contains;

namespace {

std::string RefusalOf(ClusterFixture& fixture, const wire::RegisterRequest& request) {
  const absl::Status status = fixture.state->Register(request).status();
  REQUIRE(!status.ok());
  return status.ToString();
}

}  // namespace

TEST_CASE("requests that make no sense are refused", "[metaserver][registration]") {
  ClusterFixture fixture;
  wire::RegisterRequest request = ChunkserverRequest(1, 2);
  request.mutable_targets(1)->set_target_uuid(request.targets(0).target_uuid());
  REQUIRE_THAT(RefusalOf(fixture, request), Contains("twice"));
  request = ChunkserverRequest(1, 2);
  request.mutable_targets(1)->set_path(request.targets(0).path());
  REQUIRE_THAT(RefusalOf(fixture, request), Contains("twice"));
  request = ChunkserverRequest(1);
  request.clear_server_uuid();
  REQUIRE_THAT(RefusalOf(fixture, request), Contains("server_uuid"));
  request = ChunkserverRequest(1);
  request.clear_addresses();
  REQUIRE_THAT(RefusalOf(fixture, request), Contains("address"));
  REQUIRE(fixture.state->View().servers.empty());
}

TEST_CASE("a target id that this cluster never gave is refused", "[metaserver][registration]") {
  ClusterFixture fixture;
  wire::RegisterRequest request = ChunkserverRequest(1);
  request.mutable_targets(0)->set_target_id(9);
  REQUIRE_THAT(RefusalOf(fixture, request), Contains("never made"));
  fixture.Register(ChunkserverRequest(1));
  REQUIRE_THAT(RefusalOf(fixture, request), Contains("belongs to target 1"));
}

TEST_CASE("a path that held another target before is refused", "[metaserver][registration]") {
  ClusterFixture fixture;
  fixture.Register(ChunkserverRequest(1));
  wire::RegisterRequest request = ChunkserverRequest(1);
  request.mutable_targets(0)->set_target_uuid("a-new-uuid");
  REQUIRE_THAT(RefusalOf(fixture, request), Contains("was target 1"));
  // Reported as absent beside a new one elsewhere, all is clear.
  request.mutable_targets(0)->set_path("/data/cs1/other");
  wire::RegisterTarget* old = request.add_targets();
  *old = ChunkserverRequest(1).targets(0);
  old->set_state(wire::TARGET_ABSENT);
  REQUIRE(fixture.Register(request).target_ids(0) == 2);
}

TEST_CASE("two processes with one identity are told apart", "[metaserver][registration]") {
  ClusterFixture fixture;
  fixture.Register(ChunkserverRequest(1));
  wire::RegisterRequest copy = ChunkserverRequest(1);
  copy.set_instance("another process");
  copy.mutable_addresses(0)->set_port(9999);
  REQUIRE(absl::IsUnavailable(fixture.state->Register(copy).status()));
  fixture.clock.Advance(absl::Seconds(6));  // the first one is gone: it moved
  REQUIRE(fixture.Register(copy).server_id() == 1);
  // A restart at the same address is let in at once.
  copy.set_instance("a third process");
  REQUIRE(fixture.Register(copy).server_id() == 1);
}

TEST_CASE("a target that may lack what it had acknowledged is in sync no longer, under any boot",
          "[metaserver][registration]") {
  ClusterFixture fixture;
  fixture.Register(ChunkserverRequest(1));
  wire::RegisterRequest second = ChunkserverRequest(2);
  fixture.Register(second);
  const auto syncing = [&] {
    int count = 0;
    for (const wire::GroupInfo& group : fixture.state->View().groups) {
      for (const wire::MapMember& member : group.group().members()) {
        count += member.target_id() == 2 && member.state() == wire::MEMBER_SYNCING;
      }
    }
    return count;
  };
  REQUIRE(fixture.state->View().groups.size() == 64);
  second.set_instance("a restart");
  fixture.Register(second);
  REQUIRE(syncing() == 0);
  second.mutable_targets(0)->set_lost_changes(true);
  second.set_instance("a restart after its disk failed");
  fixture.Register(second);
  REQUIRE(syncing() == 64);
}

TEST_CASE("a target moves with its disk, but never while it is served",
          "[metaserver][registration]") {
  ClusterFixture fixture;
  fixture.Register(ChunkserverRequest(1));
  wire::RegisterRequest thief = ChunkserverRequest(2);
  thief.mutable_targets(0)->set_target_uuid("target-uuid-1-1");
  REQUIRE(absl::IsUnavailable(fixture.state->Register(thief).status()));
  fixture.clock.Advance(absl::Seconds(6));
  REQUIRE(fixture.Register(thief).target_ids(0) == 1);
  REQUIRE(fixture.state->View().targets[0].target().server_id() == 2);
}

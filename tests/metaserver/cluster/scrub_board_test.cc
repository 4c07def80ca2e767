#include "metaserver/cluster/scrub_board.h"

#include "tests/metaserver/cluster/cluster_fixture.h"

using namespace penstock;
using namespace penstock::metaserver;

namespace {

wire::HeartbeatRequest BeatOf(int server) {
  wire::HeartbeatRequest request;
  request.set_server_id(static_cast<uint32_t>(server));
  request.set_instance("instance-" + std::to_string(server));
  return request;
}

void Say(wire::HeartbeatRequest& request, uint32_t target, uint64_t order, uint64_t done) {
  wire::ScrubProgress* progress = request.add_scrubs();
  progress->set_target_id(target);
  progress->set_order(order);
  progress->set_order_done(done);
  progress->set_found(3);
}

struct Scrubs : ClusterFixture {
  Scrubs() {
    Register(ChunkserverRequest(1, 2));
    Register(ChunkserverRequest(2));
  }
};

}  // namespace

TEST_CASE("an order to scrub is sent until its server has taken it", "[metaserver][scrub]") {
  Scrubs f;
  const auto started = f.state->StartScrub({});
  REQUIRE(started.ok());
  REQUIRE(started->target_ids_size() == 3);
  for (int round = 0; round < 2; ++round) {
    const auto answer = f.state->Heartbeat(BeatOf(1));
    REQUIRE(answer.scrubs_size() == 2);
    REQUIRE(answer.scrubs(0).order() == started->order());
    REQUIRE(f.state->Heartbeat(BeatOf(2)).scrubs_size() == 1);
  }
  wire::HeartbeatRequest taken = BeatOf(1);
  Say(taken, 1, started->order(), 0);
  Say(taken, 3, started->order(), started->order());  // another server's target
  REQUIRE(f.state->Heartbeat(taken).scrubs_size() == 1);
  REQUIRE(f.state->Heartbeat(BeatOf(2)).scrubs_size() == 1);
  const auto listed = f.state->ListScrubs({});
  REQUIRE(listed->targets_size() == 3);
  REQUIRE(listed->targets(0).progress().found() == 3);
  REQUIRE(listed->targets(0).ordered() == started->order());
  REQUIRE(listed->targets(2).progress().order() == 0);
}

TEST_CASE("orders to scrub grow, for one target or all", "[metaserver][scrub]") {
  Scrubs f;
  wire::StartScrubRequest request;
  request.set_target_id(2);
  request.set_max_bytes_per_second(77);
  const auto first = f.state->StartScrub(request);
  REQUIRE(first->target_ids_size() == 1);
  const auto answer = f.state->Heartbeat(BeatOf(1));
  REQUIRE(answer.scrubs_size() == 1);
  REQUIRE(answer.scrubs(0).target_id() == 2);
  REQUIRE(answer.scrubs(0).max_bytes_per_second() == 77);
  REQUIRE(f.state->StartScrub({})->order() > first->order());
  f.Reopen();
  f.clock.Advance(absl::Seconds(1));
  REQUIRE(f.state->StartScrub({})->order() > first->order());
}

TEST_CASE("what cannot be scrubbed is refused", "[metaserver][scrub]") {
  Scrubs f;
  wire::StartScrubRequest request;
  request.set_target_id(9);
  REQUIRE(absl::IsNotFound(f.state->StartScrub(request).status()));
  wire::ListScrubsRequest list;
  list.set_target_id(9);
  REQUIRE(absl::IsNotFound(f.state->ListScrubs(list).status()));
  f.clock.Advance(absl::Seconds(6));
  REQUIRE(f.state->Tick().ok());
  request.set_target_id(1);
  REQUIRE(absl::IsFailedPrecondition(f.state->StartScrub(request).status()));
  REQUIRE(absl::IsFailedPrecondition(f.state->StartScrub({}).status()));
}

TEST_CASE("a removed target is not scrubbed any more", "[metaserver][scrub][remove]") {
  Scrubs f;
  f.Register(ChunkserverRequest(3));
  REQUIRE(f.state->StartScrub({})->target_ids_size() == 4);
  REQUIRE(f.state->RemoveTarget(TargetId(4), false).ok());
  REQUIRE(f.state->StartScrub({})->target_ids_size() == 3);
  REQUIRE(f.state->ListScrubs({})->targets_size() == 3);
  wire::StartScrubRequest request;
  request.set_target_id(4);
  REQUIRE(absl::IsNotFound(f.state->StartScrub(request).status()));
}

#include "metaserver/cluster/map_publisher.h"

#include <catch2/catch.hpp>

#include "tests/testing/fake_clock.h"

using namespace penstock;
using namespace penstock::metaserver;

namespace {

wire::MapServer Server(uint32_t id) {
  wire::MapServer server;
  server.set_server_id(id);
  return server;
}

// Answers of GetMap, waited for with a deadline.
class Answers {
 public:
  MapPublisher::Answer Take() {
    return [this](wire::ClusterMap map) {
      absl::MutexLock lock(&mu_);
      maps_.push_back(std::move(map));
    };
  }
  std::vector<wire::ClusterMap> Wait(size_t count) {
    absl::MutexLock lock(&mu_);
    auto enough = [this, count] { return maps_.size() >= count; };
    REQUIRE(mu_.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(20)));
    return maps_;
  }
  size_t count() {
    absl::MutexLock lock(&mu_);
    return maps_.size();
  }

 private:
  absl::Mutex mu_;
  std::vector<wire::ClusterMap> maps_;
};

}  // namespace

TEST_CASE("a delta has what changed since, and only that", "[metaserver][map]") {
  testing::FakeClock clock;
  MapPublisher map("c", &clock);
  map.Publish({.version = 1, .servers = {Server(1), Server(2)}});
  map.Publish({.version = 2, .servers = {Server(2)}});
  wire::ClusterMap whole = map.MapSince(0);
  REQUIRE(whole.since() == 0);
  REQUIRE(whole.version() == 2);
  REQUIRE(whole.cluster_id() == "c");
  REQUIRE(whole.servers_size() == 2);
  REQUIRE(map.MapSince(1).servers_size() == 1);
  REQUIRE(map.MapSince(1).since() == 1);
  REQUIRE(map.MapSince(2).servers_size() == 0);
  REQUIRE(map.MapSince(99).since() == 0);  // from another life: all anew
}

TEST_CASE("those that wait hear of a change at once, and of nothing after their time",
          "[metaserver][map]") {
  testing::FakeClock clock;
  MapPublisher map("c", &clock);
  map.Publish({.version = 1, .servers = {Server(1)}});
  map.Start();
  Answers answers;
  map.GetMap(0, absl::Seconds(10), answers.Take());
  REQUIRE(answers.count() == 1);  // knew less: answered on this thread
  map.GetMap(1, absl::Seconds(10), answers.Take());
  map.GetMap(1, absl::Seconds(10), answers.Take());
  REQUIRE(map.waiting() == 2);
  map.Publish({.version = 2, .servers = {Server(3)}});
  REQUIRE(answers.Wait(3).back().servers(0).server_id() == 3);
  map.GetMap(2, absl::Seconds(10), answers.Take());
  clock.Advance(absl::Seconds(11));
  const wire::ClusterMap empty = answers.Wait(4).back();
  REQUIRE(empty.version() == 2);
  REQUIRE(empty.since() == 2);
  map.GetMap(2, absl::Seconds(10), answers.Take());
  map.Stop();
  REQUIRE(answers.count() == 5);
}

// A cluster's state on a real store in a temporary directory, with a clock moved by hand and
// chunkservers that are only messages.
#pragma once

#include <catch2/catch.hpp>

#include <memory>
#include <string>

#include "common/units.h"
#include "metaserver/cluster/cluster_state.h"
#include "metaserver/log/single_node_log.h"
#include "metaserver/store/meta_store.h"
#include "tests/metaserver/cluster/recorded_events.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/temp_dir.h"

namespace penstock::metaserver {

inline wire::RegisterRequest ChunkserverRequest(int number, int targets = 1) {
  wire::RegisterRequest request;
  request.set_server_uuid("server-uuid-" + std::to_string(number));
  request.set_hostname("node" + std::to_string(number));
  wire::Address* address = request.add_addresses();
  address->set_host("127.0.0.1");
  address->set_port(static_cast<uint32_t>(7410 + number));
  address->set_transport("tcp");
  request.set_boot_id("boot-1");
  request.set_instance("instance-" + std::to_string(number));
  request.set_version("0.1.0");
  for (int t = 1; t <= targets; ++t) {
    wire::RegisterTarget* target = request.add_targets();
    target->set_target_uuid("target-uuid-" + std::to_string(number) + "-" + std::to_string(t));
    target->set_path("/data/cs" + std::to_string(number) + "/t" + std::to_string(t));
    target->set_state(wire::TARGET_ONLINE);
    target->set_capacity_bytes(100 * kGiB);
    target->set_free_bytes(60 * kGiB);
  }
  return request;
}

class ClusterFixture {
 public:
  explicit ClusterFixture(ClusterOptions options = {}) : options_(std::move(options)) {
    options_.group_count = 64;
    Reopen();
  }
  void Reopen() {
    state.reset();
    log_.reset();
    store_.reset();
    auto store = MetaStore::Open({.dir = dir_.path() + "/db", .block_cache_bytes = 8 << 20});
    REQUIRE(store.ok());
    store_ = *std::move(store);
    auto log = SingleNodeLog::Open(store_.get());
    REQUIRE(log.ok());
    log_ = *std::move(log);
    auto opened = Open(options_);
    REQUIRE(opened.ok());
    state = *std::move(opened);
  }
  absl::StatusOr<std::unique_ptr<ClusterState>> Open(const ClusterOptions& options) {
    return ClusterState::Open(options, {store_.get(), log_.get(), &clock, 1000, &events});
  }
  wire::RegisterResponse Register(const wire::RegisterRequest& request) {
    auto response = state->Register(request);
    INFO(response.status().ToString());
    REQUIRE(response.ok());
    return *response;
  }
  wire::HeartbeatResponse Beat(int number, uint32_t server_id) {
    wire::HeartbeatRequest request;
    request.set_server_id(server_id);
    request.set_instance("instance-" + std::to_string(number));
    return state->Heartbeat(request);
  }
  std::string Problems() {
    std::string all;
    for (const std::string& problem : state->View().problems) all += problem + "\n";
    return all;
  }

  testing::FakeClock clock;
  RecordedEvents events;
  std::unique_ptr<ClusterState> state;

 private:
  testing::TempDir dir_;
  ClusterOptions options_;
  std::unique_ptr<MetaStore> store_;
  std::unique_ptr<SingleNodeLog> log_;
};

}  // namespace penstock::metaserver

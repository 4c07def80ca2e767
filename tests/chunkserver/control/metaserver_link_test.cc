#include "chunkserver/control/metaserver_link.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "chunkserver/control/map_watch.h"
#include "common/status.h"
#include "tests/chunkserver/control/fake_cluster.h"
#include "tests/testing/temp_dir.h"

namespace penstock::chunkserver {
namespace {

// One server with one target, and a link to a fake metaserver.
struct LinkFixture {
  LinkFixture() {
    options.dir = dir.path() + "/server";
    options.cluster_id = "test-cluster";
    options.targets = {dir.path() + "/disk"};
    options.reserve_bytes = 0;
    stub = cluster.Stub();
    Open();
  }
  void Open() {
    identity = *LoadOrMakeIdentity(options.dir, options.cluster_id, fs);
    targets = *Targets::Open(options, "boot", &identity, fs, SystemClock());
    health = std::make_unique<HealthSampler>(
        HealthSampler::Parts{targets.get(), fs, SystemClock(), "boot"});
    health->Start();
    chain = std::make_unique<WriteChain>(&map, nullptr, &locks);
    orders =
        std::make_unique<OrderWorker>(OrderWorker::Parts{&map, targets.get(), chain.get(), &locks});
    orders->Start();
  }
  ~LinkFixture() {
    link.reset();
    watch.reset();
  }
  absl::Status Start() {
    ServerFacts facts;
    facts.dir = options.dir;
    facts.boot_id = "boot";
    facts.instance = "instance";
    MetaserverLink::Parts parts{stub.get(),   &identity, targets.get(), &map, &fences, orders.get(),
                                health.get(), fs,        SystemClock()};
    parts.lease = &lease;
    link = std::make_unique<MetaserverLink>(facts, parts);
    return link->Start();
  }

  // As a new process on the same directories.
  void Restart() {
    link.reset();
    orders.reset();
    chain.reset();
    health.reset();
    targets.reset();
    Open();
    REQUIRE(Start().ok());
  }

  testing::TempDir dir;
  FileSystem* fs = PosixFileSystem();
  FakeCluster cluster;
  ChunkserverOptions options;
  ServerIdentity identity;
  MapHolder map;
  FenceTable fences;
  ServingLease lease{SystemClock(), absl::Milliseconds(1500)};
  ChunkLocks locks;
  std::unique_ptr<Targets> targets;
  std::unique_ptr<HealthSampler> health;
  std::unique_ptr<WriteChain> chain;
  std::unique_ptr<OrderWorker> orders;
  std::unique_ptr<wire::Cluster::Stub> stub;
  std::unique_ptr<MetaserverLink> link;
  std::unique_ptr<MapWatch> watch;
};

TEST_CASE("a registration gives numbers that survive a restart", "[chunkserver][control]") {
  LinkFixture server;
  REQUIRE(server.Start().ok());
  REQUIRE(server.link->registered());
  REQUIRE(server.targets->Find(TargetId(30)) != nullptr);
  REQUIRE(server.cluster.last_registration().targets(0).target_id() == 0);
  REQUIRE(server.cluster.last_registration().targets(0).capacity_bytes() > 0);
  const auto saved = LoadOrMakeIdentity(server.options.dir, "", server.fs);
  REQUIRE(saved->server_id == ServerId(7));
  REQUIRE(saved->targets.at(0).id == TargetId(30));
  const auto identity = ChunkStore::ReadIdentity(server.options.targets[0], server.fs);
  REQUIRE(identity->target_id == TargetId(30));
}

TEST_CASE("heartbeats go on, carry health and remember when they were answered",
          "[chunkserver][control]") {
  LinkFixture server;
  REQUIRE(server.Start().ok());
  REQUIRE(Eventually([&] { return server.cluster.heartbeats() > 3; }));
  const auto beat = server.cluster.last_heartbeat();
  REQUIRE(beat.server_id() == 7);
  REQUIRE(beat.targets(0).state() == wire::TARGET_ONLINE);
  REQUIRE(Eventually([&] { return server.lease.holds(); }));
}

TEST_CASE("a metaserver that is away, or that forgot this server, is joined again",
          "[chunkserver][control]") {
  LinkFixture server;
  server.cluster.SetAway(true);
  REQUIRE(server.Start().ok());
  REQUIRE(!server.link->registered());
  server.cluster.SetAway(false);
  REQUIRE(Eventually([&] { return server.link->registered(); }));
  server.cluster.Forget();
  REQUIRE(Eventually([&] { return server.cluster.registrations() == 2; }));
  REQUIRE(server.cluster.last_registration().targets(0).target_id() == 30);
}

TEST_CASE("a target that was removed from the cluster is reported and remembered no more",
          "[chunkserver][control]") {
  LinkFixture server;
  REQUIRE(server.Start().ok());
  REQUIRE(Eventually([&] { return server.cluster.heartbeats() > 0; }));
  server.cluster.Remove(0);
  server.cluster.Forget();
  REQUIRE(Eventually([&] {
    return server.cluster.registrations() == 2 && server.cluster.last_heartbeat().targets().empty();
  }));
  REQUIRE(server.targets->all()[0]->removed);
  REQUIRE(Eventually(
      [&] { return LoadOrMakeIdentity(server.options.dir, "", server.fs)->targets.empty(); }));
  // Once it is emptied, its directory may hold a new one.
  REQUIRE(server.cluster.registrations() == 2);
  // Until the metaserver's data is restored from before the removal.
  server.cluster.Remove(-1);
  server.cluster.Forget();
  REQUIRE(Eventually([&] {
    const auto beat = server.cluster.last_heartbeat();
    return beat.targets_size() == 1 && beat.targets(0).state() == wire::TARGET_ONLINE;
  }));
  REQUIRE(!server.targets->all()[0]->removed);
  REQUIRE(LoadOrMakeIdentity(server.options.dir, "", server.fs)->targets.at(0).id == TargetId(30));
}

TEST_CASE("a metaserver of another cluster is refused at the start", "[chunkserver][control]") {
  LinkFixture server;
  server.cluster.SetClusterId("another");
  REQUIRE(ReasonOf(server.Start()) == Reason::kWrongCluster);
}

TEST_CASE("a disk that fails is told at once, and once more at the next start",
          "[chunkserver][control]") {
  LinkFixture server;
  REQUIRE(server.Start().ok());
  const std::string disk = server.options.targets[0];
  std::filesystem::rename(disk, disk + "-away");
  REQUIRE(Eventually([&] {
    const auto beat = server.cluster.last_heartbeat();
    return beat.targets_size() == 1 && beat.targets(0).state() == wire::TARGET_FAILED;
  }));
  const std::string problem = server.cluster.last_heartbeat().targets(0).problem();
  REQUIRE(problem.find("restart the chunkserver") != std::string::npos);
  const auto lost_changes = [&] {
    return LoadOrMakeIdentity(server.options.dir, "", server.fs)->targets.at(0).lost_changes;
  };
  REQUIRE(Eventually(lost_changes));
  std::filesystem::rename(disk + "-away", disk);  // it stays failed until it is started again
  const auto beats = server.cluster.heartbeats();
  REQUIRE(Eventually([&] { return server.cluster.heartbeats() > beats + 100; }));
  REQUIRE(server.cluster.last_heartbeat().targets(0).state() == wire::TARGET_FAILED);
  server.Restart();
  REQUIRE(server.cluster.last_registration().targets(0).lost_changes());
  REQUIRE(!lost_changes());
  server.cluster.Forget();
  REQUIRE(Eventually([&] { return server.cluster.registrations() == 3; }));
  REQUIRE(!server.cluster.last_registration().targets(0).lost_changes());
}

TEST_CASE("a failed disk is registered as such, and remembered as soon as that can be written",
          "[chunkserver][control]") {
  LinkFixture server;
  REQUIRE(server.Start().ok());
  const std::string home = server.options.dir, disk = server.options.targets[0];
  std::filesystem::rename(home, home + "-away");
  std::filesystem::rename(disk, disk + "-away");
  REQUIRE(Eventually([&] {
    const auto beat = server.cluster.last_heartbeat();
    return beat.targets_size() == 1 && beat.targets(0).state() == wire::TARGET_FAILED;
  }));
  const auto beats = server.cluster.heartbeats();
  REQUIRE(Eventually([&] { return server.cluster.heartbeats() > beats + 5; }));
  std::filesystem::rename(home + "-away", home);
  REQUIRE(Eventually([&] {
    return LoadOrMakeIdentity(server.options.dir, "", server.fs)->targets.at(0).lost_changes;
  }));
  server.cluster.Forget();
  REQUIRE(Eventually([&] { return server.cluster.registrations() == 2; }));
  REQUIRE(server.cluster.last_registration().targets(0).state() == wire::TARGET_FAILED);
}

TEST_CASE("fences and orders come with heartbeats, and what was done goes back",
          "[chunkserver][control]") {
  LinkFixture server;
  REQUIRE(server.Start().ok());
  wire::HeartbeatResponse answer;
  answer.set_fence_version(4);
  answer.add_fenced_sessions(55);
  wire::Order* order = answer.add_orders();
  order->set_order_id(9);
  order->mutable_truncate_content()->mutable_layout()->set_content_id(1);
  order->mutable_truncate_content()->mutable_layout()->set_chunk_size_log2(22);
  server.cluster.SetAnswer(answer);
  REQUIRE(Eventually([&] {
    const auto beat = server.cluster.last_heartbeat();
    return beat.fence_version() == 4 && beat.done_orders_size() == 1;
  }));
  REQUIRE(server.cluster.last_heartbeat().done_orders(0) == 9);
  REQUIRE(!server.fences.Enter(SessionId(55)).ok());
  answer.clear_orders();
  server.cluster.SetAnswer(answer);
  REQUIRE(Eventually([&] { return server.cluster.last_heartbeat().done_orders_size() == 0; }));
}

TEST_CASE("the fences are known from the first answered heartbeat on, not from the registration",
          "[chunkserver][control]") {
  LinkFixture server;
  server.cluster.SetSilent(true);
  REQUIRE(server.Start().ok());
  REQUIRE(server.link->registered());
  REQUIRE(Eventually([&] { return server.cluster.heartbeats() > 2; }));
  REQUIRE(!server.fences.known());
  server.cluster.SetSilent(false);
  REQUIRE(Eventually([&] { return server.fences.known(); }));
}

TEST_CASE("a server that has not got the newest map does not go on serving by its old one",
          "[chunkserver][control]") {
  LinkFixture server;
  wire::ClusterMap map;
  map.set_version(1);
  map.set_cluster_id("test-cluster");
  server.cluster.SetMap(map);
  REQUIRE(server.Start().ok());
  REQUIRE(Eventually([&] { return server.lease.holds(); }));
  wire::HeartbeatResponse newer;
  newer.set_map_version(2);  // and the stream that brings it is stuck
  server.cluster.SetAnswer(newer);
  REQUIRE(Eventually([&] { return !server.lease.holds(); }));
  map.set_version(2);
  map.set_since(1);
  REQUIRE(server.map.Apply(map).ok());
  REQUIRE(Eventually([&] { return server.lease.holds(); }));
}

TEST_CASE("the map is followed, also over a broken stream", "[chunkserver][control]") {
  LinkFixture server;
  server.watch = std::make_unique<MapWatch>(server.stub.get(), &server.map);
  server.watch->Start();
  wire::ClusterMap map;
  map.set_version(1);
  map.set_cluster_id("test-cluster");
  server.cluster.SetMap(map);
  REQUIRE(Eventually([&] { return server.map.Get()->version() == 1; }));
  server.cluster.SetAway(true);
  map.set_version(5);
  server.cluster.SetMap(map);
  absl::SleepFor(absl::Milliseconds(20));
  server.cluster.SetAway(false);
  REQUIRE(Eventually([&] { return server.map.Get()->version() == 5; }));
}

}  // namespace
}  // namespace penstock::chunkserver

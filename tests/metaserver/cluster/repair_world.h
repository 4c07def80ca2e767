// A cluster of chunkservers that are only messages, for tests of failure handling: each is up or
// down, has taken some map version, and is honest unless the test makes it lie.
#pragma once

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/metaserver/cluster/cluster_fixture.h"

namespace penstock::metaserver {

class FakeServer {
 public:
  struct Shape {
    std::string rack;
    int targets = 1;
  };
  FakeServer(int number, ClusterFixture* fixture, const Shape& shape)
      : number_(number), fixture_(fixture) {
    request_ = ChunkserverRequest(number, shape.targets);
    request_.set_rack(shape.rack);
  }

  void Register() {
    request_.set_instance(absl::StrCat("instance-", number_, "-", ++starts_));
    const wire::RegisterResponse response = fixture_->Register(request_);
    id_ = response.server_id();
    targets_.assign(response.target_ids().begin(), response.target_ids().end());
    up = true;
  }
  void Reboot() {
    request_.set_boot_id(absl::StrCat("boot-", ++boots_));
    Register();
  }

  // Takes the newest map (unless `hears_map` is false) and says what is asked.
  wire::HeartbeatResponse Beat(const std::vector<wire::SyncedGroup>& synced = {}) {
    wire::HeartbeatRequest request;
    request.set_server_id(id_);
    request.set_instance(request_.instance());
    if (hears_map) map_version_ = fixture_->state->map().version();
    request.set_map_version(map_version_);
    for (uint32_t target : targets_) {
      wire::TargetHealth* health = request.add_targets();
      health->set_target_id(target);
      health->set_state(StateOf(target));
      health->set_capacity_bytes(100 * kGiB);
      health->set_free_bytes(free_bytes);
      health->set_stored_bytes(kGiB);
    }
    for (const wire::SyncedGroup& said : synced) *request.add_synced() = said;
    for (const wire::SyncProgress& said : progress) *request.add_syncing() = said;
    for (uint64_t order : done) request.add_done_orders(order);
    wire::HeartbeatResponse response = fixture_->state->Heartbeat(request);
    if (response.register_again()) Register();
    return response;
  }

  // All that an honest server has to say of its syncing members, of the map that it has.
  std::vector<wire::SyncedGroup> Synced() const {
    std::vector<wire::SyncedGroup> all;
    const wire::ClusterMap map = fixture_->state->map().MapSince(0);
    for (const wire::MapGroup& group : map.groups()) {
      for (const wire::MapMember& member : group.members()) {
        if (member.state() != wire::MEMBER_SYNCING || !Has(member.target_id())) continue;
        all.push_back(Said(group.number(), group.epoch(), member.target_id()));
      }
    }
    return all;
  }
  static wire::SyncedGroup Said(uint32_t group, uint32_t epoch, uint32_t target) {
    wire::SyncedGroup said;
    said.set_storage_class(1);
    said.set_group(group);
    said.set_epoch(epoch);
    said.set_target_id(target);
    return said;
  }
  bool Has(uint32_t target) const {
    return std::find(targets_.begin(), targets_.end(), target) != targets_.end();
  }
  uint32_t id() const { return id_; }
  const std::vector<uint32_t>& targets() const { return targets_; }
  wire::TargetState StateOf(uint32_t target) const {
    auto found = states.find(target);
    return found == states.end() ? state : found->second;
  }

  bool up = false;
  bool hears_map = true;
  wire::TargetState state = wire::TARGET_ONLINE;
  std::map<uint32_t, wire::TargetState> states;  // of targets that differ from it
  uint64_t free_bytes = 60 * kGiB;
  std::vector<wire::SyncProgress> progress;
  std::vector<uint64_t> done;

 private:
  const int number_;
  ClusterFixture* const fixture_;
  wire::RegisterRequest request_;
  int starts_ = 0;
  int boots_ = 1;
  uint32_t id_ = 0;
  uint64_t map_version_ = 0;
  std::vector<uint32_t> targets_;
};

class RepairWorld {
 public:
  explicit RepairWorld(int count, ClusterOptions options = {},
                       const std::vector<std::string>& racks = {}, int targets_each = 1)
      : fixture(std::move(options)) {
    for (int n = 1; n <= count; ++n) {
      const std::string rack = racks.empty() ? "" : racks[static_cast<size_t>(n - 1)];
      servers.emplace(n, FakeServer(n, &fixture, {rack, targets_each}));
    }
    for (auto& [n, server] : servers) server.Register();
  }
  FakeServer& operator[](int number) { return servers.at(number); }

  // Time passes; those that are up send heartbeats, with what they synced if `sync`.
  void Pass(absl::Duration time, bool sync = false) {
    for (absl::Duration passed; passed < time; passed += absl::Seconds(1)) {
      fixture.clock.Advance(std::min(absl::Duration(absl::Seconds(1)), time - passed));
      for (auto& [n, server] : servers) {
        if (!server.up) continue;
        if (sync) {
          server.Beat(server.Synced());
        } else {
          server.Beat();
        }
      }
      REQUIRE(fixture.state->Tick().ok());
    }
  }
  // The whole map, its groups by number.
  wire::ClusterMap Map() const {
    wire::ClusterMap map = fixture.state->map().MapSince(0);
    std::sort(map.mutable_groups()->begin(), map.mutable_groups()->end(),
              [](const auto& a, const auto& b) { return a.number() < b.number(); });
    return map;
  }
  wire::MapGroup Group(uint32_t number) const { return Map().groups(static_cast<int>(number)); }
  // How many groups have each chain, order aside for in-sync ones.
  std::map<std::string, int> Chains() const {
    std::map<std::string, int> counts;
    const wire::ClusterMap map = fixture.state->map().MapSince(0);
    for (const wire::MapGroup& group : map.groups()) {
      std::set<std::string> names;
      for (const wire::MapMember& member : group.members()) {
        names.insert(
            absl::StrCat(member.target_id(), member.state() == wire::MEMBER_SYNCING ? "?" : ""));
      }
      std::string text;
      for (const std::string& name : names) {
        absl::StrAppend(&text, text.empty() ? "" : " ", name);
      }
      ++counts[text];
    }
    return counts;
  }

  ClusterFixture fixture;
  std::map<int, FakeServer> servers;
};

}  // namespace penstock::metaserver

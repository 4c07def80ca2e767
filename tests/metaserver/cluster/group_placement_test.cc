#include "metaserver/cluster/group_placement.h"

#include <absl/status/status.h>
#include <catch2/catch.hpp>

#include <map>
#include <set>

#include "common/units.h"

using namespace penstock;
using namespace penstock::metaserver;

namespace {

PlacementRequest Cluster(uint32_t targets, uint32_t replication, uint32_t targets_per_server = 1) {
  PlacementRequest request{.replication = replication, .seed = 42};
  for (uint32_t t = 0; t < targets; ++t) {
    request.targets.push_back({.target = TargetId(t + 1),
                               .server = ServerId(t / targets_per_server + 1),
                               .capacity_bytes = kTiB});
  }
  return request;
}

struct Load {
  std::map<TargetId, double> places, heads;
  std::map<TargetId, std::set<TargetId>> partners;
  std::map<std::pair<TargetId, TargetId>, int> pairs;
};

Load Measure(const PlacementRequest& request) {
  auto groups = PlaceGroups(request);
  REQUIRE(groups.ok());
  REQUIRE(groups->size() == request.group_count);
  std::map<TargetId, std::string> domain;
  for (const auto& t : request.targets) domain[t.target] = FailureDomain(t);
  Load load;
  for (const auto& members : *groups) {
    REQUIRE(members.size() == request.replication);
    std::set<std::string> domains;
    for (TargetId t : members) domains.insert(domain.at(t));
    REQUIRE(domains.size() == members.size());
    load.heads[members[0]] += 1;
    for (TargetId a : members) {
      load.places[a] += 1;
      for (TargetId b : members) {
        if (a == b) continue;
        load.partners[a].insert(b);
        ++load.pairs[{a, b}];
      }
    }
  }
  return load;
}

}  // namespace

TEST_CASE("groups are spread evenly over any number of targets", "[metaserver][placement]") {
  for (uint32_t replication : {2u, 3u}) {
    for (uint32_t targets : {3u, 4u, 5u, 7u, 8u, 12u, 16u, 31u, 50u, 64u, 99u, 100u}) {
      INFO("targets " << targets << " replication " << replication);
      const PlacementRequest request = Cluster(targets, replication);
      const Load load = Measure(request);
      const double share = 1024.0 * replication / targets;
      const double head_share = 1024.0 / targets;
      for (const auto& t : request.targets) {
        CHECK(std::abs(load.places.at(t.target) - share) <= 2);
        CHECK(std::abs(load.heads.at(t.target) - head_share) <= 2);
      }
      // Everybody has all others as partners, as far as there are groups enough for that.
      const double possible = share * (replication - 1);
      for (const auto& t : request.targets) {
        const double partners = static_cast<double>(load.partners.at(t.target).size());
        if (possible >= 2.0 * (targets - 1)) {
          CHECK(partners == targets - 1);
        } else {
          CHECK(partners >= 0.85 * std::min(possible, targets - 1.0));
        }
      }
    }
  }
}

TEST_CASE("groups follow capacity", "[metaserver][placement]") {
  PlacementRequest request = Cluster(6, 2);
  for (size_t i = 0; i < 6; ++i) request.targets[i].capacity_bytes = (i + 2) * kTiB;
  const Load load = Measure(request);
  for (size_t i = 0; i < 6; ++i) {
    const double share = 2048.0 * static_cast<double>(i + 2) / 27;
    CHECK(std::abs(load.places.at(request.targets[i].target) - share) <= 2);
    CHECK(std::abs(load.heads.at(request.targets[i].target) - share / 2) <= 3);
  }
}

TEST_CASE("a target too big for its share stands in every group", "[metaserver][placement]") {
  PlacementRequest request = Cluster(4, 2);
  request.targets[0].capacity_bytes = 100 * kTiB;
  const Load load = Measure(request);
  CHECK(load.places.at(TargetId(1)) == 1024);
  for (uint32_t t = 2; t <= 4; ++t) CHECK(std::abs(load.places.at(TargetId(t)) - 1024 / 3.0) <= 2);
}

TEST_CASE("members share no server and no rack", "[metaserver][placement]") {
  const Load servers = Measure(Cluster(9, 3, 3));  // every server in every group
  CHECK(servers.places.size() == 9);
  PlacementRequest racks = Cluster(8, 2);
  for (size_t i = 0; i < 8; ++i) racks.targets[i].rack = i < 4 ? "east" : "west";
  const Load load = Measure(racks);
  CHECK(load.partners.at(TargetId(1)).size() == 4);
}

TEST_CASE("placement is deterministic, and the seed matters", "[metaserver][placement]") {
  PlacementRequest request = Cluster(10, 2);
  const auto once = PlaceGroups(request);
  REQUIRE(*once == *PlaceGroups(request));
  request.seed = 43;
  REQUIRE(*once != *PlaceGroups(request));
}

TEST_CASE("too few failure domains are refused with the reason", "[metaserver][placement]") {
  const auto groups = PlaceGroups(Cluster(4, 3, 2));
  REQUIRE(absl::IsFailedPrecondition(groups.status()));
  CHECK_THAT(std::string(groups.status().message()), Catch::Contains("3 failure domains"));
  CHECK(absl::IsInvalidArgument(PlaceGroups(Cluster(4, 0)).status()));
}

TEST_CASE("targets that share a disk get together what it alone would get",
          "[metaserver][placement]") {
  PlacementRequest request = Cluster(6, 2);
  for (size_t t : {0u, 1u, 2u}) request.targets[t].disk = "one disk";
  const Load load = Measure(request);
  const double shared =
      load.places.at(TargetId(1)) + load.places.at(TargetId(2)) + load.places.at(TargetId(3));
  REQUIRE(shared > 0.95 * load.places.at(TargetId(4)));
  REQUIRE(shared < 1.05 * load.places.at(TargetId(4)));
}

// Which targets form which replication group. Pure and deterministic: the same targets and seed
// give the same groups. Used once, when groups are formed; the result is stored, never recomputed.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/ids.h"

namespace penstock::metaserver {

struct PlacementTarget {
  TargetId target;
  ServerId server;
  std::string rack;  // empty: the server is its own failure domain
  uint64_t capacity_bytes = 0;
  std::string disk;  // equal for targets that share one, and its capacity; empty: not known
};

struct PlacementRequest {
  std::vector<PlacementTarget> targets;
  uint32_t group_count = 1024;
  uint32_t replication = 2;
  uint64_t seed = 0;
};

// How many places each target gets, by weight; a domain never gets more than one a group, and what
// it would get beyond that goes to the others.
struct PlaceShare {
  std::string domain;
  double weight = 0;
};
std::vector<double> ShareOutPlaces(const std::vector<PlaceShare>& targets, double groups,
                                   double places);

// Targets that fail together: those of a rack when the server has a rack label, else of a server.
std::string FailureDomain(const PlacementTarget& target);

// One list of targets a group, head to tail. Members share no failure domain; each target gets
// groups by its capacity (a failure domain at most one place a group), as many different partners
// as can be, and its share of the heads. FAILED_PRECONDITION: fewer failure domains than copies.
absl::StatusOr<std::vector<std::vector<TargetId>>> PlaceGroups(const PlacementRequest& request);

}  // namespace penstock::metaserver

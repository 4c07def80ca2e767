// What failure handling wants to know of a target at this moment. Pure.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <string>

#include "metaserver/cluster/cluster_options.h"
#include "metaserver/cluster/inventory.h"
#include "metaserver/cluster/member_table.h"

namespace penstock::metaserver {

struct TargetFacts {
  enum class Health {
    kUnknown,  // not heard since our start, and it still has time
    kServing,  // its server was heard in time and has it open
    kFailed,   // its server lives, its disk reports errors: it may still answer reads
    kAbsent,   // its server lives without it: it answers nothing
    kSilent,   // its server was not heard for offline_after, since our start at the earliest: it
               // stopped serving half that time ago by itself (DESIGN.md section 6, Times)
  };
  Health health = Health::kUnknown;
  absl::Duration unheard;    // since its server was heard last
  uint64_t map_version = 0;  // that its server has taken
  std::string domain;        // FailureDomain
  uint64_t capacity_bytes = 0;
  uint64_t free_bytes = 0;
  uint64_t stored_bytes = 0;
  uint32_t groups = 0;   // that it is a member of
  uint32_t syncing = 0;  // those of them where it is not in sync
  uint32_t copies = 0;   // groups whose chunks it stores: as a member, or until it drops them
  uint32_t heads = 0;    // those of them that it heads, once who leaves has left
  bool draining = false;
  TargetId onto;      // draining: who takes its places where it can; may be none
  std::string disk;   // equal for targets that share one
  double size = 0;    // capacity, shared out among the targets of the disk
  double usable = 0;  // what it stores and its share of what is free
  // Of a group, about.
  uint64_t bytes_each() const { return copies == 0 ? 0 : stored_bytes / copies; }
  // For one more group of so many bytes beside those on their way, with a share of the disk kept
  // free.
  bool HasRoom(uint64_t bytes, uint32_t coming) const {
    const double needed = static_cast<double>(bytes) * (coming + 1.0) +
                          kNearlyFull * static_cast<double>(capacity_bytes);
    return static_cast<double>(free_bytes) >= needed;
  }
  bool serving() const { return health == Health::kServing; }
  // Out of its groups, when another copy can go on without it.
  bool gone() const { return health == Health::kSilent || health == Health::kAbsent; }
};

using TargetFactsMap = absl::flat_hash_map<TargetId, TargetFacts>;

// The member that leads the group's writes when those who leave have left.
TargetId HeadOf(const Membership& group, const TargetFactsMap& facts);

// Of all targets but those removed.
TargetFactsMap GatherTargetFacts(const Inventory& inventory, const MemberTable& members,
                                 absl::Duration now, absl::Duration offline_after);

}  // namespace penstock::metaserver

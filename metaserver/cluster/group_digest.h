// GroupDigest sums up what happened to groups' members, so that the loss of a target is one line
// for people and not one for each of its groups. Pure; not thread-safe.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/time/time.h>

#include <optional>
#include <string>

#include "metaserver/cluster/member_table.h"

namespace penstock::metaserver {

class GroupDigest {
 public:
  static constexpr absl::Duration kQuiet = absl::Seconds(2);      // then it is told
  static constexpr absl::Duration kAtLatest = absl::Seconds(15);  // also when it goes on

  // `now`: Clock::SinceBoot().
  void Count(const Membership& before, const Membership& after, absl::Duration now);
  // "target 3 left 512 groups, target 4 joined 171 groups" once it is time to tell.
  std::optional<std::string> Take(absl::Duration now);

 private:
  struct Counts {
    uint32_t left = 0;
    uint32_t joined = 0;
    uint32_t behind = 0;   // a member still, but not in sync any more
    uint32_t in_sync = 0;  // has become that
  };
  absl::btree_map<TargetId, Counts> targets_;
  absl::Duration first_, last_;
};

}  // namespace penstock::metaserver

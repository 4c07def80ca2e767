#include "metaserver/cluster/cluster_events.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <cctype>

namespace penstock::metaserver {
namespace {

std::string Counted(uint64_t count, std::string_view noun) {
  return absl::StrCat(count, " ", std::string(noun), count == 1 ? "" : "s");
}

std::string StateName(wire::TargetState state) {
  std::string name = wire::TargetState_Name(state);
  return absl::AsciiStrToLower(absl::StripPrefix(name, "TARGET_"));
}

// Counters in a problem's text grow; the problem is the same.
std::string WithoutNumbers(const std::string& text) {
  std::string bare;
  for (char c : text) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) bare.push_back(c);
  }
  return bare;
}

uint64_t TargetsOf(const Inventory& inventory, ServerId server) {
  return static_cast<uint64_t>(
      std::count_if(inventory.targets.begin(), inventory.targets.end(), [&](const auto& entry) {
        return entry.second.server() == server && !entry.second.record.removed();
      }));
}

std::string NameOf(const Inventory& inventory, TargetId id) {
  auto target = inventory.targets.find(id);
  if (target == inventory.targets.end()) return absl::StrCat("target ", id.value());
  return Describe(inventory, target->second);
}

}  // namespace

void ClusterEvents::Servers(const Inventory& inventory,
                            const std::vector<record::Server>& servers) {
  for (const record::Server& record : servers) {
    const ServerEntry now{.record = record};
    auto found = inventory.servers.find(now.id());
    if (found == inventory.servers.end()) {
      sink_->Add(Severity::kInfo, "server.joined",
                 absl::StrCat(Describe(now), " is new in the cluster"));
      continue;
    }
    const wire::MapServer& before = found->second.record.server();
    const wire::MapServer& after = record.server();
    if (!before.boot_id().empty() && before.boot_id() != after.boot_id()) {
      sink_->Add(Severity::kWarning, "server.rebooted",
                 absl::StrCat("the machine of ", Describe(now),
                              " has started again: its targets catch up"));
    }
    if (before.version() != after.version()) {
      sink_->Add(Severity::kInfo, "server.upgraded",
                 absl::StrCat(Describe(now), " runs version ", after.version(), ", before ",
                              before.version()));
    }
    if (before.state() == after.state()) continue;
    const std::string targets = Counted(TargetsOf(inventory, now.id()), "target");
    if (after.state() == wire::SERVER_ONLINE) {
      sink_->Add(Severity::kInfo, "server.back",
                 absl::StrCat(Describe(now), " is back with ", targets));
    } else {
      sink_->Add(
          Severity::kWarning, "server.left",
          absl::StrCat(Describe(now), " is not heard of any more, and offline with ", targets));
    }
  }
}

// A server that goes or comes tells of its targets.
void ClusterEvents::Targets(const Inventory& inventory,
                            const std::vector<record::Target>& targets) {
  for (const record::Target& record : targets) {
    const TargetEntry now{.record = record};
    auto found = inventory.targets.find(now.id());
    if (found == inventory.targets.end()) {
      sink_->Add(Severity::kInfo, "target.added",
                 absl::StrCat("target ", now.id().value(), " (", record.target().path(),
                              " of server ", now.server().value(), ") is new"));
      continue;
    }
    const std::string name = Describe(inventory, found->second);
    if (record.removed()) {
      if (found->second.record.removed()) continue;
      sink_->Add(Severity::kInfo, "target.removed", absl::StrCat(name, " has left the cluster"));
      continue;
    }
    Drain(name, found->second.record, record);
    const wire::TargetState before = found->second.record.target().state();
    const wire::TargetState after = record.target().state();
    if (before == after || after == wire::TARGET_OFFLINE) continue;
    if (after == wire::TARGET_ONLINE) {
      if (before == wire::TARGET_OFFLINE) continue;
      sink_->Add(Severity::kInfo, "target.back", absl::StrCat(name, " is back"));
      continue;
    }
    const std::string& problem = found->second.health.problem();
    sink_->Add(Severity::kError, "target.away",
               absl::StrCat(name, " is ", StateName(after), problem.empty() ? "" : ": ", problem));
  }
}

void ClusterEvents::Drain(const std::string& name, const record::Target& before,
                          const record::Target& now) {
  if (before.draining() && !now.draining()) {
    sink_->Add(Severity::kInfo, "target.undrained", absl::StrCat(name, " is in service again"));
  }
  if (!now.draining()) return;
  if (before.draining() && before.drain_onto() == now.drain_onto()) return;
  sink_->Add(Severity::kInfo, "target.draining",
             absl::StrCat(name, " gives its groups to ",
                          now.drain_onto() == 0 ? std::string("others")
                                                : absl::StrCat("target ", now.drain_onto(),
                                                               " where that can take them")));
}

void ClusterEvents::Rebalance(const record::Rebalance& before, const record::Rebalance& now) {
  if (!before.running() && now.running()) {
    sink_->Add(Severity::kInfo, "rebalance.begun", "groups go from full targets to emptier ones");
  } else if (before.running() && !now.running()) {
    sink_->Add(Severity::kInfo, "rebalance.ended",
               absl::StrCat(now.ended(), "; ", Counted(now.moved_groups(), "group"), " moved"));
  }
}

void ClusterEvents::Class(const record::StorageClass* before, const record::StorageClass& now) {
  const wire::MapStorageClass& c = now.storage_class();
  if (before == nullptr) {
    sink_->Add(Severity::kInfo, "class.made",
               absl::StrCat("storage class ", c.name(), " with ", c.replication(),
                            c.replication() == 1 ? " copy" : " copies", " is made"));
  } else if (before->storage_class().group_count() == 0 && c.group_count() != 0) {
    sink_->Add(Severity::kInfo, "groups.formed",
               absl::StrCat(c.group_count(), " groups of storage class ", c.name(),
                            " are formed: the cluster takes data"));
  }
}

void ClusterEvents::Places(const PlaceCounts& before, const PlaceCounts& after,
                           const Inventory& inventory) {
  for (const auto& [id, places] : after) {
    auto was = before.find(id);
    if (was == before.end() || was->second.syncing == 0 || places.syncing != 0) continue;
    sink_->Add(Severity::kInfo, "target.in_sync",
               absl::StrCat(NameOf(inventory, id), " is in sync in all its ",
                            Counted(places.groups, "group")));
  }
}

void ClusterEvents::StartBelowGoal(uint32_t groups, absl::Duration now) {
  below_goal_ = groups;
  below_since_ = now;
}

void ClusterEvents::BelowGoal(uint32_t groups, uint32_t all_groups, absl::Duration now) {
  if (below_goal_ == 0 && groups > 0) {
    below_since_ = now;
    sink_->Add(Severity::kWarning, "repair.begun",
               absl::StrCat(groups, " of ", Counted(all_groups, "group"),
                            " lack a copy in sync; `penstock repair status` shows the repair"));
  } else if (below_goal_ > 0 && groups == 0) {
    sink_->Add(
        Severity::kInfo, "repair.ended",
        absl::StrCat("every group has all its copies in sync again, ",
                     absl::ToInt64Seconds(now - below_since_), " s after the first lost one"));
  }
  below_goal_ = groups;
}

void ClusterEvents::Restarted(const ServerEntry& server) {
  sink_->Add(Severity::kInfo, "server.restarted",
             absl::StrCat("the chunkserver of ", Describe(server), " has started again"));
}

void ClusterEvents::Health(const Inventory& inventory, const TargetEntry& target,
                           const wire::TargetHealth& now) {
  const std::string& before = target.health.problem();
  const std::string& after = now.problem();
  if (WithoutNumbers(before) == WithoutNumbers(after)) return;
  const std::string name = Describe(inventory, target);
  if (after.empty()) {
    sink_->Add(Severity::kInfo, "disk.cleared",
               absl::StrCat(name, " has no problem any more; it was: ", before));
  } else {
    sink_->Add(Severity::kError, "disk.problem", absl::StrCat(name, ": ", after));
  }
}

void ClusterEvents::Tick(absl::Duration now) {
  if (auto text = digest_.Take(now)) {
    sink_->Add(Severity::kInfo, "groups.changed", *std::move(text));
  }
}

}  // namespace penstock::metaserver

// What ClusterState does by itself: show who is online, keep the groups' members up to date, and
// form the groups.
#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/logging.h"
#include "common/status.h"
#include "metaserver/cluster/cluster_state.h"
#include "metaserver/cluster/group_placement.h"

namespace penstock::metaserver {
namespace {

wire::TargetState TargetStateNow(const TargetEntry& target, bool server_online) {
  if (!server_online) return wire::TARGET_OFFLINE;
  // A server not heard since our start: as it was, until it says otherwise.
  if (!target.reported() || target.health.state() == wire::TARGET_UNKNOWN) {
    return target.record.target().state();
  }
  return target.health.state();
}

}  // namespace

absl::Status ClusterState::Tick() {
  ChangeTurn::Hold turn(&turn_);
  Change change;
  PlanStates(change);
  for (const record::Server& server : change.servers) {
    SPDLOG_WARN("chunkserver state server={} host={} state={}", server.server().server_id(),
                Quoted(server.server().hostname()),
                wire::ServerState_Name(server.server().state()));
  }
  RepairPlan repair = PlanGroups();
  change.groups = std::move(repair.groups);
  NoteRebalance(repair, change);
  RETURN_IF_ERROR(Commit(std::move(change)));
  if (const std::string summary = repair.Summary(); !summary.empty()) {
    SPDLOG_INFO("group members changed {} map_version={}", summary, publisher_->version());
  }
  GiveDrops(repair.drops);
  {
    absl::MutexLock lock(&mu_);
    events_.Tick(sources_.clock->SinceBoot());
  }
  RETURN_IF_ERROR(FormGroups());
  LookAhead();
  return absl::OkStatus();
}

void ClusterState::StoodStill(absl::Duration time) {
  const absl::Duration now = sources_.clock->SinceBoot();
  const absl::Duration offline_after = settings_->Current().offline_after;
  absl::MutexLock lock(&mu_);
  for (auto& [id, server] : inventory_.servers) {
    // Not for those that were silent before.
    if (now - server.heard - time > offline_after) continue;
    server.heard = std::min(server.heard + time, now);
  }
}

void ClusterState::GiveDrops(const std::vector<wire::DropGroup>& drops) {
  for (const wire::DropGroup& drop : drops) {
    // A full queue: at a later tick again.
    if (!orders_->Drop(drop, [this, drop] { NoteDropped(drop); })) return;
    absl::MutexLock lock(&mu_);
    notes_.at({drop.storage_class(), drop.group()}).dropping.insert(TargetId(drop.target_id()));
  }
}

// The next tick makes it durable.
void ClusterState::NoteDropped(const wire::DropGroup& drop) {
  absl::MutexLock lock(&mu_);
  const Membership* group = members_.Find({drop.storage_class(), drop.group()});
  if (group == nullptr || group->epoch != drop.epoch()) return;
  notes_.at(group->id).dropped.insert(TargetId(drop.target_id()));
}

RepairPlan ClusterState::PlanGroups() const {
  const ClusterOptions options = OptionsNow();
  const absl::Duration now = sources_.clock->SinceBoot();
  Snapshot copy;
  {
    absl::MutexLock lock(&mu_);
    const RebalanceWish wish = WishNow();
    if (!wish.running) {
      return PlanRepair({inventory_, members_, classes_, notes_, options, now, wish});
    }
    copy = Copy();
  }
  return PlanRepair(
      {copy.inventory, copy.members, copy.classes, copy.notes, options, now, copy.wish});
}

// What the map shows; groups go by what PlanRepair sees for itself.
void ClusterState::PlanStates(Change& change) const {
  const absl::Duration offline_after = settings_->Current().offline_after;
  absl::MutexLock lock(&mu_);
  const absl::Duration now = sources_.clock->SinceBoot();
  for (const auto& [id, server] : inventory_.servers) {
    const wire::ServerState was = server.record.server().state();
    const bool heard = now - server.heard <= offline_after;
    const bool online = heard && (!server.instance.empty() || was == wire::SERVER_ONLINE);
    const wire::ServerState is = online ? wire::SERVER_ONLINE : wire::SERVER_OFFLINE;
    if (is != was) {
      change.servers.push_back(server.record);
      change.servers.back().mutable_server()->set_state(is);
    }
    for (const auto& [target_id, target] : inventory_.targets) {
      if (target.server() != id || target.record.removed()) continue;
      const wire::TargetState state = TargetStateNow(target, online);
      if (state == target.record.target().state()) continue;
      change.targets.push_back(target.record);
      change.targets.back().mutable_target()->set_state(state);
    }
  }
}

absl::Status ClusterState::FormGroups() {
  PlacementRequest request;
  record::StorageClass storage_class;
  {
    absl::MutexLock lock(&mu_);
    storage_class = classes_.at(kDefaultStorageClass);
    if (storage_class.storage_class().group_count() != 0) return absl::OkStatus();
    if (RestoredGroupCount() != 0) {
      formation_problem_ =
          "the metadata was restored from a backup and serves no data yet: start every "
          "chunkserver, then run `penstock backup finish`";
      return absl::OkStatus();
    }
    const uint32_t replication = storage_class.storage_class().replication();
    request.group_count = options_.group_count;
    request.replication = replication;
    request.seed = storage_class.placement_seed();
    for (const auto& [id, target] : inventory_.targets) {
      if (target.record.target().state() != wire::TARGET_ONLINE || !target.reported()) continue;
      if (target.record.removed() || target.record.draining()) continue;
      request.targets.push_back(
          {.target = id,
           .server = target.server(),
           .rack = inventory_.servers.at(target.server()).record.server().rack(),
           .capacity_bytes = target.capacity_bytes(),
           .disk = target.disk_id()});
    }
    const uint32_t wanted = options_.initial_targets != 0 ? options_.initial_targets : replication;
    if (request.targets.size() < wanted) {
      formation_problem_ = absl::StrCat(
          "groups are not formed: waiting for ", wanted, " targets, only ", request.targets.size(),
          " are online: start more chunkservers, or restart the metaserver with a lower "
          "--initial-targets");
      return absl::OkStatus();
    }
  }
  auto placed = PlaceGroups(request);
  if (!placed.ok()) {
    absl::MutexLock lock(&mu_);
    formation_problem_ =
        absl::StrCat("groups are not formed: ", std::string(placed.status().message()),
                     ": start chunkservers on other machines or racks");
    return absl::OkStatus();
  }
  Change change;
  storage_class.mutable_storage_class()->set_group_count(options_.group_count);
  for (uint32_t number = 0; number < placed->size(); ++number) {
    change.groups.push_back(
        MemberTable::NewGroup({kDefaultStorageClass, number}, (*placed)[number]));
  }
  change.classes.push_back(std::move(storage_class));
  RETURN_IF_ERROR(Annotate(Commit(std::move(change)), "form groups"));
  SPDLOG_INFO("groups formed groups={} replication={} targets={}", placed->size(),
              request.replication, request.targets.size());
  absl::MutexLock lock(&mu_);
  formation_problem_.clear();
  return absl::OkStatus();
}

}  // namespace penstock::metaserver

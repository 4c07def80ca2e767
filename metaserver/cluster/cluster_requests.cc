// What chunkservers ask of ClusterState: registration and heartbeats.
#include <spdlog/spdlog.h>

#include "common/logging.h"
#include "common/status.h"
#include "metaserver/cluster/cluster_state.h"
#include "metaserver/cluster/registration.h"

namespace penstock::metaserver {
namespace {

bool SameBytes(const google::protobuf::Message& a, const google::protobuf::Message& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

// A failed target is open: its disk reports errors, its server works on it.
bool IsOpen(wire::TargetState state) {
  return state == wire::TARGET_ONLINE || state == wire::TARGET_FAILED;
}

}  // namespace

absl::StatusOr<wire::RegisterResponse> ClusterState::Register(
    const wire::RegisterRequest& request) {
  ChangeTurn::Hold turn(&turn_);
  RegistrationPlan plan;
  Change change;
  bool new_targets = false;
  {
    absl::MutexLock lock(&mu_);
    ASSIGN_OR_RETURN(plan, PlanRegistration(request, inventory_,
                                            {.cluster_id = cluster_id_,
                                             .now = sources_.clock->SinceBoot(),
                                             .offline_after = settings_->Current().offline_after,
                                             .adopt = RestoredGroupCount() != 0}));
    // Only what differs changes the map: a server may register as often as it likes.
    auto server = inventory_.servers.find(ServerId(plan.server.server().server_id()));
    if (server == inventory_.servers.end() ||
        !SameBytes(server->second.record.server(), plan.server.server())) {
      change.servers.push_back(plan.server);
    }
    for (const auto* list : {&plan.targets, &plan.missing}) {
      for (const record::Target& target : *list) {
        auto known = inventory_.targets.find(TargetId(target.target().target_id()));
        if (known == inventory_.targets.end() ||
            !SameBytes(known->second.record.target(), target.target())) {
          change.targets.push_back(target);
        }
      }
    }
    new_targets = plan.last_target_id != inventory_.last_target_id;
    change.groups = PlanReboots(members_, plan.rebooted);
    change.last_server_id = plan.last_server_id;
    change.last_target_id = plan.last_target_id;
  }
  const bool news = !change.empty();
  const size_t rebooted_groups = change.groups.size();
  RETURN_IF_ERROR(Commit(std::move(change)));
  const ServerId id(plan.server.server().server_id());
  wire::RegisterResponse response;
  std::vector<TargetId> targets;
  {
    absl::MutexLock lock(&mu_);
    ServerEntry& server = inventory_.servers.at(id);
    if (!server.instance.empty() && server.instance != request.instance()) {
      events_.Restarted(server);
    }
    server.instance = request.instance();
    server.heard = sources_.clock->SinceBoot();
    server.fence_version = 0;
    server.fence_after = FenceAfter(request);
    server.map_version = 0;  // until this process says what it has taken
    for (size_t i = 0; i < plan.targets.size(); ++i) {
      const wire::RegisterTarget& reported = request.targets(static_cast<int>(i));
      if (plan.targets[i].removed()) {
        response.add_target_ids(0);
        continue;
      }
      const uint32_t target_id = plan.targets[i].target().target_id();
      wire::TargetHealth& health = inventory_.targets.at(TargetId(target_id)).health;
      health.set_target_id(target_id);
      health.set_state(plan.targets[i].target().state());
      health.set_capacity_bytes(reported.capacity_bytes());
      health.set_free_bytes(reported.free_bytes());
      health.set_disk_id(reported.disk_id());
      response.add_target_ids(target_id);
      inventory_.targets.at(TargetId(target_id)).syncing.Clear();
      inventory_.targets.at(TargetId(target_id)).held.Clear();
      targets.emplace_back(target_id);
    }
    for (const record::Target& target : plan.missing) {
      inventory_.targets.at(TargetId(target.target().target_id()))
          .health.set_state(wire::TARGET_ABSENT);
    }
  }
  orders_->Restarted(targets);
  SPDLOG_INFO("chunkserver registered server={} host={} targets={} instance={} map_changed={}",
              id.value(), Quoted(request.hostname()), request.targets_size(),
              Quoted(request.instance()), news);
  if (rebooted_groups > 0) {
    SPDLOG_INFO("machine has started again server={} boot_id={} groups_to_sync={}", id.value(),
                Quoted(request.boot_id()), rebooted_groups);
  }
  RETURN_IF_ERROR(FormGroups());
  if (new_targets) LookAhead(absl::ZeroDuration());
  response.set_cluster_id(cluster_id_);
  response.set_server_id(id.value());
  response.set_heartbeat_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(options_.heartbeat)));
  *response.mutable_map() = publisher_->MapSince(0);
  return response;
}

wire::HeartbeatResponse ClusterState::Heartbeat(const wire::HeartbeatRequest& request) {
  wire::HeartbeatResponse response;
  const ServerId id(request.server_id());
  std::vector<TargetId> open;
  uint64_t map_version = 0;
  {
    absl::MutexLock lock(&mu_);
    auto server = inventory_.servers.find(id);
    if (server == inventory_.servers.end() || server->second.instance != request.instance() ||
        request.instance().empty()) {
      response.set_register_again(true);
      return response;
    }
    // Offline while offline.after was made shorter, it would serve for longer than that when cut
    // off again. Unheard, it stops serving; its registration is refused and says why.
    if (2 * server->second.fence_after > settings_->Current().offline_after) {
      response.set_register_again(true);
      return response;
    }
    server->second.heard = sources_.clock->SinceBoot();
    server->second.fence_version = request.fence_version();
    // A version that was never published says nothing.
    server->second.map_version =
        request.map_version() <= cluster_.map_version() ? request.map_version() : 0;
    map_version = server->second.map_version;
    for (const wire::TargetHealth& health : request.targets()) {
      auto target = inventory_.targets.find(TargetId(health.target_id()));
      if (target == inventory_.targets.end()) continue;
      // The registration's answer tells it.
      if (target->second.record.removed()) response.set_register_again(true);
      if (target->second.server() == id) {
        events_.Health(inventory_, target->second, health);
        const bool measured = target->second.health.capacity_bytes() > 0;
        if (!measured && health.capacity_bytes() > 0) moves_.changed = true;
        target->second.health = health;
        if (IsOpen(health.state())) open.push_back(target->first);
      }
    }
    NoteSynced(id, request);
    NoteProgress(id, request);
    scrubs_.Note(id, request, inventory_);
    for (wire::ScrubOrder& order : scrubs_.OrdersFor(id, inventory_)) {
      *response.add_scrubs() = std::move(order);
    }
    NoteHeld(id, request);
    response.set_report_groups(RestoredGroupCount());
  }
  // An order is done on the targets that the server has open, and on no other of its targets.
  orders_->Acknowledge(
      open, {request.done_orders().data(), static_cast<size_t>(request.done_orders_size())});
  for (wire::Order& order : orders_->Take(open, map_version))
    *response.add_orders() = std::move(order);
  const FenceBoard::List fences = fences_->Current();
  response.set_fence_version(fences.version);
  for (SessionId session : fences.sessions) response.add_fenced_sessions(session.value());
  response.set_map_version(publisher_->version());
  for (wire::Setting& setting : settings_->Set()) *response.add_settings() = std::move(setting);
  return response;
}

// Bounded by the members of groups: only what could be true of the present epoch is kept.
void ClusterState::NoteSynced(ServerId server, const wire::HeartbeatRequest& request) {
  for (const wire::SyncedGroup& said : request.synced()) {
    const TargetId id(said.target_id());
    auto target = inventory_.targets.find(id);
    if (target == inventory_.targets.end() || target->second.server() != server) continue;
    const Membership* group = members_.Find({said.storage_class(), said.group()});
    if (group == nullptr || group->epoch != said.epoch()) continue;
    const GroupMember* member = group->Find(id);
    if (member == nullptr || member->state != wire::MEMBER_SYNCING) continue;
    notes_.at(group->id).synced.insert(id);
  }
}

void ClusterState::NoteProgress(ServerId server, const wire::HeartbeatRequest& request) {
  for (const wire::TargetHealth& health : request.targets()) {
    auto target = inventory_.targets.find(TargetId(health.target_id()));
    if (target == inventory_.targets.end() || target->second.server() != server) continue;
    target->second.syncing.Clear();
  }
  for (const wire::SyncProgress& progress : request.syncing()) {
    auto target = inventory_.targets.find(TargetId(progress.target_id()));
    if (target == inventory_.targets.end() || target->second.server() != server) continue;
    target->second.syncing = progress;
  }
}

}  // namespace penstock::metaserver

#include "metaserver/cluster/registration.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>

#include "common/status.h"
#include "metaserver/cluster/cluster_options.h"

namespace penstock::metaserver {
namespace {

const TargetEntry* FindTarget(const Inventory& inventory, const std::string& uuid) {
  for (const auto& [id, target] : inventory.targets) {
    if (target.record.uuid() == uuid) return &target;
  }
  return nullptr;
}

const ServerEntry* FindServer(const Inventory& inventory, const std::string& uuid) {
  for (const auto& [id, server] : inventory.servers) {
    if (server.record.uuid() == uuid) return &server;
  }
  return nullptr;
}

absl::Status CheckRequest(const wire::RegisterRequest& request, const std::string& cluster_id) {
  if (!request.cluster_id().empty() && request.cluster_id() != cluster_id) {
    return WithReason(absl::FailedPreconditionError(
                          absl::StrCat("the chunkserver belongs to cluster ", request.cluster_id(),
                                       ", this metaserver to ", cluster_id)),
                      Reason::kWrongCluster);
  }
  if (request.server_uuid().empty() || request.instance().empty()) {
    return absl::InvalidArgumentError("a registration needs server_uuid and instance");
  }
  if (request.addresses().empty()) {
    return absl::InvalidArgumentError("a registration needs an address");
  }
  if (request.targets_size() > kMaxTargetsPerServer) {
    return absl::InvalidArgumentError(
        absl::StrCat("a chunkserver has at most ", kMaxTargetsPerServer, " targets"));
  }
  absl::flat_hash_set<std::string> uuids, paths;
  for (const wire::RegisterTarget& target : request.targets()) {
    if (target.target_uuid().empty()) return absl::InvalidArgumentError("a target without uuid");
    if (!uuids.insert(target.target_uuid()).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          "target uuid ", target.target_uuid(), " is there twice: a copied target directory?"));
    }
    if (!paths.insert(target.path()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("target path ", target.path(), " is there twice"));
    }
  }
  return absl::OkStatus();
}

// Else it might still serve when others already write in its place.
absl::Status CheckFence(const wire::RegisterRequest& request, absl::Duration offline_after) {
  const absl::Duration fence_after = FenceAfter(request);
  if (2 * fence_after <= offline_after) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the chunkserver stops serving ", absl::FormatDuration(fence_after),
      " after its last answered heartbeat (--fence-after), which must be at most half of "
      "offline.after, ",
      absl::FormatDuration(offline_after),
      ": start it with a shorter one, or `penstock config set "
      "offline.after ",
      absl::FormatDuration(2 * fence_after), "`"));
}

bool SameAddresses(const wire::MapServer& server, const wire::RegisterRequest& request) {
  if (server.addresses_size() != request.addresses_size()) return false;
  for (int i = 0; i < server.addresses_size(); ++i) {
    if (!google::protobuf::util::MessageDifferencer::Equals(server.addresses(i),
                                                            request.addresses(i))) {
      return false;
    }
  }
  return true;
}

// Two processes that run with copies of one directory would push each other out for ever.
absl::Status CheckOtherInstance(const ServerEntry& server, const wire::RegisterRequest& request,
                                const RegistrationRules& rules) {
  if (server.instance == request.instance() || SameAddresses(server.record.server(), request) ||
      !server.live(rules.now, rules.offline_after)) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat(
      Describe(server), " was heard ", absl::FormatDuration(rules.now - server.heard),
      " ago under the same uuid at another address: if it moved, it gets in ",
      absl::FormatDuration(rules.offline_after),
      " after the last heartbeat; else two chunkservers run with copies of one directory"));
}

absl::Status CheckTarget(const wire::RegisterTarget& target, ServerId server,
                         const Inventory& inventory, const RegistrationRules& rules) {
  const TargetEntry* known = FindTarget(inventory, target.target_uuid());
  if (known != nullptr && known->record.removed()) return absl::OkStatus();  // it is told so
  if (known == nullptr) {
    const bool free = !inventory.targets.contains(TargetId(target.target_id()));
    if (target.target_id() != 0 && !(rules.adopt && free)) {
      return absl::NotFoundError(
          absl::StrCat("target ", target.path(), " says that it is target ", target.target_id(),
                       ", which this cluster never made: a directory of another cluster?"));
    }
    return absl::OkStatus();
  }
  if (target.target_id() != 0 && target.target_id() != known->id().value()) {
    return absl::NotFoundError(absl::StrCat("target ", target.path(), " says that it is target ",
                                            target.target_id(), ", but its uuid belongs to target ",
                                            known->id().value()));
  }
  if (known->server() == server) return absl::OkStatus();
  auto owner = inventory.servers.find(known->server());
  const bool served = owner != inventory.servers.end() &&
                      owner->second.live(rules.now, rules.offline_after) &&
                      known->health.state() == wire::TARGET_ONLINE;
  if (served && target.state() == wire::TARGET_ONLINE) {
    return absl::UnavailableError(absl::StrCat(Describe(inventory, *known), " is served by ",
                                               Describe(owner->second),
                                               " at this moment: a copied target directory?"));
  }
  return absl::OkStatus();
}

// A directory that held one target and now holds another was swapped or wiped by mistake.
absl::Status CheckPaths(const wire::RegisterRequest& request, ServerId server,
                        const Inventory& inventory) {
  absl::flat_hash_map<std::string, std::string> uuid_at;
  absl::flat_hash_set<std::string> uuids;
  for (const wire::RegisterTarget& target : request.targets()) {
    uuid_at[target.path()] = target.target_uuid();
    uuids.insert(target.target_uuid());
  }
  for (const auto& [id, known] : inventory.targets) {
    if (known.server() != server || uuids.contains(known.record.uuid())) continue;
    if (known.record.removed()) continue;
    auto now = uuid_at.find(known.record.target().path());
    if (now == uuid_at.end()) continue;
    return absl::AlreadyExistsError(
        absl::StrCat("path ", now->first, " was target ", id.value(), " (uuid ",
                     known.record.uuid(), ") and now holds a new one (uuid ", now->second,
                     "): bring the old directory back, or give the new target another path"));
  }
  return absl::OkStatus();
}

// Also those that the server no longer names, those that came from another server, and those that
// may lack what they had acknowledged.
std::vector<TargetId> Rebooted(const wire::RegisterRequest& request, ServerId id,
                               const Inventory& inventory) {
  absl::flat_hash_set<std::string> uuids, incomplete;
  for (const wire::RegisterTarget& target : request.targets()) {
    uuids.insert(target.target_uuid());
    if (target.lost_changes()) incomplete.insert(target.target_uuid());
  }
  std::vector<TargetId> rebooted;
  for (const auto& [target_id, target] : inventory.targets) {
    if (target.server() != id && !uuids.contains(target.record.uuid())) continue;
    if (incomplete.contains(target.record.uuid())) {
      rebooted.push_back(target_id);
      continue;
    }
    if (target.record.removed()) continue;
    auto server = inventory.servers.find(target.server());
    if (server == inventory.servers.end()) continue;
    const std::string& before = server->second.record.server().boot_id();
    if (!before.empty() && before != request.boot_id()) rebooted.push_back(target_id);
  }
  return rebooted;
}

record::Server ServerRecord(const wire::RegisterRequest& request, ServerId id) {
  record::Server record;
  record.set_uuid(request.server_uuid());
  wire::MapServer* server = record.mutable_server();
  server->set_server_id(id.value());
  server->set_hostname(request.hostname());
  *server->mutable_addresses() = request.addresses();
  server->set_state(wire::SERVER_ONLINE);
  server->set_rack(request.rack());
  server->set_version(request.version());
  server->set_boot_id(request.boot_id());
  return record;
}

}  // namespace

absl::Duration FenceAfter(const wire::RegisterRequest& request) {
  return absl::Milliseconds(static_cast<int64_t>(request.fence_after_ms()));
}

absl::StatusOr<RegistrationPlan> PlanRegistration(const wire::RegisterRequest& request,
                                                  const Inventory& inventory,
                                                  const RegistrationRules& rules) {
  RETURN_IF_ERROR(CheckRequest(request, rules.cluster_id));
  RETURN_IF_ERROR(CheckFence(request, rules.offline_after));
  RegistrationPlan plan{.last_server_id = inventory.last_server_id,
                        .last_target_id = inventory.last_target_id};
  ServerId id;
  if (const ServerEntry* known = FindServer(inventory, request.server_uuid()); known != nullptr) {
    RETURN_IF_ERROR(CheckOtherInstance(*known, request, rules));
    id = known->id();
  } else {
    id = ServerId(++plan.last_server_id);
  }
  plan.server = ServerRecord(request, id);
  RETURN_IF_ERROR(CheckPaths(request, id, inventory));
  absl::flat_hash_set<std::string> uuids;
  for (const wire::RegisterTarget& target : request.targets()) {
    RETURN_IF_ERROR(CheckTarget(target, id, inventory, rules));
    uuids.insert(target.target_uuid());
    const TargetEntry* known = FindTarget(inventory, target.target_uuid());
    record::Target& record = plan.targets.emplace_back();
    if (known != nullptr) record = known->record;
    if (record.removed()) continue;
    record.set_uuid(target.target_uuid());
    if (target.capacity_bytes() != 0) record.set_capacity_bytes(target.capacity_bytes());
    if (!target.disk_id().empty()) record.set_disk_id(target.disk_id());
    wire::MapTarget* map = record.mutable_target();
    map->set_target_id(known != nullptr          ? known->id().value()
                       : target.target_id() != 0 ? target.target_id()
                                                 : ++plan.last_target_id);
    plan.last_target_id = std::max(plan.last_target_id, map->target_id());
    map->set_server_id(id.value());
    map->set_path(target.path());
    map->set_state(target.state() == wire::TARGET_UNKNOWN ? wire::TARGET_ONLINE : target.state());
  }
  plan.rebooted = Rebooted(request, id, inventory);
  for (const auto& [target_id, known] : inventory.targets) {
    if (known.server() != id || uuids.contains(known.record.uuid())) continue;
    if (known.record.removed()) continue;
    plan.missing.push_back(known.record);
    plan.missing.back().mutable_target()->set_state(wire::TARGET_ABSENT);
  }
  return plan;
}

}  // namespace penstock::metaserver

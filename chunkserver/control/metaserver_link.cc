#include "chunkserver/control/metaserver_link.h"

#include <absl/strings/str_cat.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

#include "common/logging.h"
#include "common/net/grpc_credentials.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

// A registration makes the metaserver write, and carries the whole map back.
constexpr absl::Duration kRegisterTimeout = absl::Seconds(10);
constexpr absl::Duration kRegisterPause = absl::Seconds(1);
constexpr absl::Duration kMapComesWithin = absl::Milliseconds(500);

void SetDeadline(grpc::ClientContext* context, absl::Duration timeout) {
  context->set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
}

bool IsFinal(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status) ||
         absl::IsPermissionDenied(status);
}

}  // namespace

MetaserverLink::MetaserverLink(ServerFacts facts, Parts parts)
    : facts_(std::move(facts)), parts_(parts) {}

absl::Status MetaserverLink::Start() {
  const absl::Status status = Register();
  if (IsFinal(status)) return Annotate(status, "register at the metaserver");
  if (!status.ok()) {
    SPDLOG_WARN("metaserver not reached, trying on error={}", Quoted(status.ToString()));
  }
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "heartbeat");
    Run();
  });
  return absl::OkStatus();
}

void MetaserverLink::Stop() {
  stop_.Set();
  calls_.CancelAll();
  if (thread_.joinable()) thread_.join();
}

absl::Status MetaserverLink::Register() {
  wire::RegisterRequest request;
  request.set_cluster_id(parts_.identity->cluster_id);
  request.set_server_uuid(parts_.identity->server_uuid);
  request.set_hostname(facts_.hostname);
  for (const wire::Address& address : facts_.addresses) *request.add_addresses() = address;
  request.set_boot_id(facts_.boot_id);
  request.set_instance(facts_.instance);
  request.set_rack(facts_.rack);
  request.set_version(facts_.version);
  request.set_fence_after_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(facts_.fence_after)));
  const std::vector<wire::TargetHealth> health = parts_.health->Last();
  for (size_t i = 0; i < parts_.targets->all().size(); ++i) {
    const Target& target = *parts_.targets->all()[i];
    wire::RegisterTarget* entry = request.add_targets();
    entry->set_target_uuid(target.uuid);
    entry->set_target_id(target.target_id().value());
    entry->set_path(target.path);
    entry->set_state(!target.is_open() ? wire::TARGET_ABSENT
                     : target.failed   ? wire::TARGET_FAILED
                                       : wire::TARGET_ONLINE);
    entry->set_lost_changes(target.is_open() && target.lost_changes);
    if (i >= health.size()) continue;
    entry->set_capacity_bytes(health[i].capacity_bytes());
    entry->set_free_bytes(health[i].free_bytes());
    entry->set_disk_id(health[i].disk_id());
  }
  StoppableCalls::Call call(&calls_);
  SetDeadline(call.context(), kRegisterTimeout);
  wire::RegisterResponse response;
  RETURN_IF_ERROR(net::FromGrpc(parts_.stub->Register(call.context(), request, &response)));
  return Accept(response);
}

absl::Status MetaserverLink::Accept(const wire::RegisterResponse& response) {
  ServerIdentity& identity = *parts_.identity;
  if (response.cluster_id() != identity.cluster_id) {
    return WithReason(absl::FailedPreconditionError(
                          absl::StrCat("the metaserver is of cluster ", response.cluster_id(),
                                       ", this server of ", identity.cluster_id)),
                      Reason::kWrongCluster);
  }
  std::vector<TargetId> ids;
  for (uint32_t id : response.target_ids()) ids.push_back(TargetId(id));
  RETURN_IF_ERROR(parts_.targets->AssignIds(ids, parts_.fs));
  bool changed = ForgetRemoved();
  changed |= RememberAgain();
  changed |= identity.server_id != ServerId(response.server_id());
  changed |= ForgetLostChanges();
  identity.server_id = ServerId(response.server_id());
  for (const auto& target : parts_.targets->all()) {
    for (KnownTarget& known : identity.targets) {
      if (known.uuid != target->uuid || known.id == target->target_id()) continue;
      known.id = target->target_id();
      changed = true;
    }
  }
  if (changed) RETURN_IF_ERROR(SaveIdentity(facts_.dir, identity, parts_.fs));
  if (response.heartbeat_ms() > 0) period_ = absl::Milliseconds(response.heartbeat_ms());
  if (response.has_map()) {
    // A map that does not fit is not the registration's failure; the watch asks for the whole one.
    if (absl::Status status = parts_.map->Apply(response.map()); !status.ok()) {
      SPDLOG_WARN("cluster map refused error={}", Quoted(status.ToString()));
    }
  }
  registered_ = true;
  SPDLOG_INFO("registered server={} targets={} map_version={}", identity.server_id.value(),
              ids.size(), parts_.map->Get()->version());
  return absl::OkStatus();
}

// The metaserver has heard of them. What fails in this process is for the next one to say.
bool MetaserverLink::ForgetLostChanges() {
  bool changed = false;
  for (const auto& target : parts_.targets->all()) {
    if (!target->is_open()) continue;  // when it is there again
    target->lost_changes = false;
    for (KnownTarget& known : parts_.identity->targets) {
      if (known.uuid != target->uuid || !known.lost_changes || target->failed) continue;
      known.lost_changes = false;
      changed = true;
    }
  }
  return changed;
}

// In server.json, which lies on another disk if one can choose.
void MetaserverLink::RememberFailed() {
  for (const auto& target : parts_.targets->all()) {
    if (!target->failed) continue;
    for (KnownTarget& known : parts_.identity->targets) {
      if (known.uuid != target->uuid || known.lost_changes) continue;
      known.lost_changes = true;
      unsaved_ = true;
    }
  }
  if (!unsaved_) return;
  const absl::Status saved = SaveIdentity(facts_.dir, *parts_.identity, parts_.fs);
  unsaved_ = !saved.ok();
  if (!saved.ok()) {
    SPDLOG_ERROR("failed target not remembered error={}", Quoted(saved.ToString()));
  }
}

// A removed target is not waited for any more: its directory may be emptied and used anew.
bool MetaserverLink::ForgetRemoved() {
  bool any = false;
  for (const auto& target : parts_.targets->all()) {
    if (!target->removed) continue;
    const auto gone = std::erase_if(parts_.identity->targets, [&](const KnownTarget& known) {
      return known.uuid == target->uuid;
    });
    if (gone == 0) continue;
    any = true;
    SPDLOG_WARN(
        "target was removed from the cluster and is not served any more: take it out of this "
        "server's settings, its directory may be deleted{} path={} target={}",
        target->is_open() ? "" : "; restart this server to use it anew", target->path,
        target->target_id().value());
  }
  return any;
}

// A metaserver that was restored from a backup may know one again that was removed.
bool MetaserverLink::RememberAgain() {
  bool any = false;
  std::vector<KnownTarget>& known = parts_.identity->targets;
  for (const auto& target : parts_.targets->all()) {
    if (target->removed || std::any_of(known.begin(), known.end(), [&](const KnownTarget& one) {
          return one.uuid == target->uuid || one.path == target->path;
        })) {
      continue;
    }
    known.push_back({target->path, target->uuid, target->target_id(), target->failed});
    any = true;
  }
  return any;
}

// The map comes by a stream of its own, usually first.
bool MetaserverLink::HasMap(uint64_t version) const {
  return version == 0 || parts_.map->WaitNewer(version - 1, kMapComesWithin);
}

absl::Status MetaserverLink::SendHeartbeat() {
  wire::HeartbeatRequest request;
  request.set_server_id(parts_.identity->server_id.value());
  request.set_instance(facts_.instance);
  request.set_map_version(parts_.map->Get()->version());
  request.set_fence_version(parts_.fences->confirmed_version());
  for (wire::TargetHealth& health : parts_.health->Last()) {
    const Target* const target = parts_.targets->Find(TargetId(health.target_id()));
    if (target != nullptr && target->removed) continue;
    *request.add_targets() = std::move(health);
  }
  const std::vector<uint64_t> done = parts_.orders->done();
  for (uint64_t order : done) request.add_done_orders(order);
  if (parts_.sync != nullptr) {
    for (wire::SyncedGroup& group : parts_.sync->synced()) *request.add_synced() = std::move(group);
    for (wire::SyncProgress& entry : parts_.sync->progress()) {
      *request.add_syncing() = std::move(entry);
    }
  }
  if (parts_.scrubber != nullptr) {
    for (wire::ScrubProgress& entry : parts_.scrubber->progress()) {
      *request.add_scrubs() = std::move(entry);
    }
  }
  if (parts_.held != nullptr) {
    for (wire::HeldGroups& held : parts_.held->Found()) *request.add_held() = std::move(held);
  }

  const absl::Duration sent = parts_.clock->SinceBoot();
  StoppableCalls::Call call(&calls_);
  SetDeadline(call.context(), facts_.call_timeout);
  wire::HeartbeatResponse response;
  RETURN_IF_ERROR(net::FromGrpc(parts_.stub->Heartbeat(call.context(), request, &response)));
  if (response.register_again()) {
    registered_ = false;
    return absl::OkStatus();
  }
  if (parts_.held != nullptr) parts_.held->Ask(response.report_groups());
  const auto& fenced = response.fenced_sessions();
  parts_.fences->Update(response.fence_version(),
                        std::vector<uint64_t>(fenced.begin(), fenced.end()));
  // After the fences: a lease that begins anew must find them known. And with the map as it was
  // then: by an older one this server might answer for groups that it has left.
  if (parts_.lease != nullptr && HasMap(response.map_version())) parts_.lease->Renew(sent);
  if (parts_.settings != nullptr) {
    parts_.settings->Take({response.settings().begin(), response.settings().end()});
  }
  parts_.orders->Take(std::vector<wire::Order>(response.orders().begin(), response.orders().end()),
                      done);
  if (parts_.scrubber != nullptr) {
    parts_.scrubber->Take(
        std::vector<wire::ScrubOrder>(response.scrubs().begin(), response.scrubs().end()));
  }
  return absl::OkStatus();
}

void MetaserverLink::Run() {
  bool well = registered();
  while (!stop_.is_set()) {
    const absl::Duration start = parts_.clock->SinceBoot();
    RememberFailed();
    const bool registers = !registered();
    const absl::Status status = registers ? Register() : SendHeartbeat();
    if (status.ok() != well && !stop_.is_set()) {
      well = status.ok();
      if (well) {
        SPDLOG_INFO("metaserver reached again");
      } else {
        SPDLOG_WARN("metaserver call failed error={}", Quoted(status.ToString()));
      }
    }
    if (!status.ok() && !registered()) {
      stop_.Wait(kRegisterPause);
      continue;
    }
    if (!registered() || registers) continue;  // the lease begins with a heartbeat
    const absl::Duration rest = period_ - (parts_.clock->SinceBoot() - start);
    if (rest > absl::ZeroDuration()) stop_.Wait(rest);
  }
}

}  // namespace penstock::chunkserver

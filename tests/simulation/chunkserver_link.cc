// A simulated chunkserver and its metaserver: chunkserver/control/metaserver_link.cc and
// map_watch.cc.
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/status.h"
#include "common/units.h"
#include "tests/simulation/chunkserver_process.h"

namespace penstock::simulation {
namespace {

constexpr int64_t kRegisterPauseMs = 100;
constexpr int64_t kWatchMs = 1000;
constexpr uint64_t kCapacity = 100 * kGiB;

}  // namespace

void SimChunkserver::Register() {
  process_->registered = false;
  wire::RegisterRequest request;
  request.set_server_uuid(absl::StrCat("server-uuid-", number_));
  request.set_hostname(absl::StrCat("node", number_));
  wire::Address* address = request.add_addresses();
  address->set_host("127.0.0.1");
  address->set_port(static_cast<uint32_t>(7410 + number_));
  address->set_transport("tcp");
  request.set_boot_id(absl::StrCat("boot-", number_, "-", boot_));
  request.set_instance(process_->instance);
  request.set_fence_after_ms(kFenceAfterMs);
  for (const Disk& disk : disks_) {
    wire::RegisterTarget* target = request.add_targets();
    target->set_target_uuid(disk.uuid);
    target->set_target_id(disk.id.value());
    target->set_path("/data/" + disk.uuid);
    target->set_state(wire::TARGET_ONLINE);
    target->set_lost_changes(disk.lost_changes);
    target->set_capacity_bytes(kCapacity);
    target->set_free_bytes(kCapacity / 2);
  }
  using Response = absl::StatusOr<wire::RegisterResponse>;
  parts_->network->Call<Response>(
      node_, parts_->metaserver->node(), 5 * kControlTimeoutMs,
      [this, request](const Reply<Response>& reply) {
        parts_->metaserver->Register(request, reply);
      },
      [this](const absl::Status& call, const Response& response) {
        Trace(absl::StrCat("registers: ", Flat(call, response).status().ToString()));
        if (call.ok() && response.ok()) return Accept(*response);
        if (call.ok() && !IsRetryable(response.status()) &&
            !absl::IsResourceExhausted(response.status())) {
          parts_->checks->Fail(absl::StrCat("registration: ", response.status().ToString()));
        }
        In(kRegisterPauseMs, [this] { Register(); });
      });
}

void SimChunkserver::Accept(const wire::RegisterResponse& response) {
  server_id_ = response.server_id();
  for (size_t i = 0; i < disks_.size(); ++i) {
    const TargetId id(response.target_ids(static_cast<int>(i)));
    if (disks_[i].id.valid() && disks_[i].id != id) parts_->checks->Fail("a target gets a new id");
    disks_[i].id = id;
    disks_[i].lost_changes = disks_[i].failed;
  }
  lost_power_ = false;  // the metaserver has heard of it
  process_->registered = true;
  Apply(response.map());
  BeginSync();  // the map may have come before the targets' numbers
  SendHeartbeat();
}

wire::HeartbeatRequest SimChunkserver::MakeHeartbeat() const {
  wire::HeartbeatRequest request;
  request.set_server_id(server_id_);
  request.set_instance(process_->instance);
  request.set_map_version(process_->map.version());
  request.set_fence_version(process_->fences.confirmed_version());
  for (uint64_t order : process_->done_orders) request.add_done_orders(order);
  for (const Target& target : process_->targets) {
    uint64_t stored = 0;
    for (const ChunkKey& key : parts_->keys) {
      stored += target.disk->replica.Get(key).info.exists() ? 4 * kGiB : 0;
    }
    wire::TargetHealth* health = request.add_targets();
    health->set_target_id(target.disk->id.value());
    health->set_state(target.disk->failed ? wire::TARGET_FAILED : wire::TARGET_ONLINE);
    health->set_capacity_bytes(kCapacity);
    health->set_stored_bytes(stored);
    health->set_free_bytes(kCapacity - std::min(kCapacity, stored));
    for (const auto& [id, work] : target.sync) {
      if (!work.synced) continue;
      wire::SyncedGroup* said = request.add_synced();
      said->set_target_id(target.disk->id.value());
      said->set_storage_class(id.storage_class);
      said->set_group(id.number);
      said->set_epoch(work.epoch);
    }
  }
  return request;
}

void SimChunkserver::SendHeartbeat() {
  const wire::HeartbeatRequest request = MakeHeartbeat();
  const std::vector<uint64_t> reported(request.done_orders().begin(), request.done_orders().end());
  const absl::Duration sent = parts_->time->SinceBoot();
  const int64_t sent_ms = parts_->time->now_ms();
  parts_->network->Call<wire::HeartbeatResponse>(
      node_, parts_->metaserver->node(), kControlTimeoutMs,
      [this, request](const Reply<wire::HeartbeatResponse>& reply) {
        parts_->metaserver->Heartbeat(request, reply);
      },
      [this, sent, sent_ms, reported](const absl::Status& call,
                                      const wire::HeartbeatResponse& response) {
        if (call.ok() && response.register_again()) return Register();
        if (call.ok()) TakeHeartbeat(response, sent, reported);
        const int64_t rest = kHeartbeatMs - (parts_->time->now_ms() - sent_ms);
        In(std::max<int64_t>(rest, 1), [this] { SendHeartbeat(); });
      });
}

void SimChunkserver::TakeHeartbeat(const wire::HeartbeatResponse& response, absl::Duration sent,
                                   const std::vector<uint64_t>& reported) {
  const auto& fenced = response.fenced_sessions();
  process_->fences.Update(response.fence_version(),
                          std::vector<uint64_t>(fenced.begin(), fenced.end()));
  // After the fences, and with the map as it was then, which may come a little later.
  process_->promised_map = response.map_version();
  process_->renew = sent;
  RenewLease();
  In(kMapComesWithinMs, [this, sent] {
    if (process_->renew == sent) process_->renew.reset();
  });
  TakeOrders(response, reported);
}

void SimChunkserver::RenewLease() {
  const bool has_map =
      process_->map.version() >= process_->promised_map || Breaks(Broken::kIgnoresNewMap);
  if (!process_->renew || !has_map) return;
  process_->lease.Renew(*process_->renew);
  process_->renew.reset();
}

void SimChunkserver::FollowMap() {
  const uint64_t known = process_->ask_whole_map ? 0 : process_->map.version();
  parts_->network->Call<wire::ClusterMap>(
      node_, parts_->metaserver->node(), kWatchMs + kControlTimeoutMs,
      [this, known](const Reply<wire::ClusterMap>& reply) {
        parts_->metaserver->GetMap(known, kWatchMs, reply);
      },
      [this](const absl::Status& call, const wire::ClusterMap& update) {
        if (!call.ok()) return In(Pick(20, 200), [this] { FollowMap(); });
        In(std::max<int64_t>(maps_after_ms_ - parts_->time->now_ms(), 0), [this, update] {
          Apply(update);
          FollowMap();
        });
      });
}

void SimChunkserver::Apply(const wire::ClusterMap& update) {
  const uint64_t before = process_->map.version();
  const absl::Status status = process_->map.Apply(update);
  process_->ask_whole_map = !status.ok();
  if (!status.ok() && !absl::IsAborted(status)) parts_->checks->Fail(status.ToString());
  if (process_->map.version() == before) return;
  RenewLease();
  BeginSync();
}

}  // namespace penstock::simulation

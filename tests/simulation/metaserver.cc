#include "tests/simulation/metaserver.h"

#include <absl/strings/str_cat.h>

namespace penstock::simulation {
namespace {

metaserver::ClusterOptions OptionsOf(const Shape& shape) {
  metaserver::ClusterOptions options;
  options.cluster_id = "simulated";
  options.replication = shape.replication;
  options.group_count = shape.groups;
  options.initial_targets = static_cast<uint32_t>(shape.servers * shape.targets_each);
  options.heartbeat = absl::Milliseconds(kHeartbeatMs);
  options.offline_after = absl::Milliseconds(kOfflineAfterMs);
  options.repair_after = absl::Milliseconds(shape.repair_after_ms);
  return options;
}

}  // namespace

SimMetaserver::SimMetaserver(const Shape& shape, Parts parts)
    : parts_(parts),
      node_(parts.network->Add()),
      options_(OptionsOf(shape)),
      log_(parts.store, parts.time) {
  log_.crash = shape.faults.crash_in_commit;
}

void SimMetaserver::Start() {
  ++starts_;
  parts_.time->Trace("metaserver starts");
  log_.died = false;
  auto opened = metaserver::ClusterState::Open(
      options_, {.store = parts_.store,
                 .log = &log_,
                 .clock = parts_.time,
                 .first_order_id = static_cast<uint64_t>(starts_) * 1'000'000});
  parts_.network->Up(node_);
  if (!opened.ok()) {
    if (!log_.died && !log_.full) {
      parts_.checks->Fail(absl::StrCat("no start: ", opened.status().ToString()));
    }
    return Crash();
  }
  state_ = *std::move(opened);
  Look();
  for (SessionId session : std::set(to_fence_)) AskFence(session);
  for (const auto& [content, deletion] : std::map(to_delete_)) AskDelete(content);
  ticked_ms_ = parts_.time->now_ms();
  parts_.network->In(node_, kTickMs, [this] { Tick(); });
}

void SimMetaserver::Crash() {
  parts_.time->Trace("metaserver crashes");
  parts_.network->Down(node_);
  waiters_.clear();
  state_.reset();
  parts_.time->At(parts_.time->Pick(20, 1500), [this] {
    if (!up()) Start();
  });
}

void SimMetaserver::Look() {
  if (log_.died) return Crash();
  if (state_->map().version() == looked_at_) return;
  looked_at_ = state_->map().version();
  ClusterMap map;
  if (absl::Status status = map.Apply(state_->map().MapSince(0)); !status.ok()) {
    return parts_.checks->Fail(status.ToString());
  }
  parts_.checks->MapChanged(map);
  for (const auto& [id, waiter] : std::exchange(waiters_, {})) {
    waiter.reply(state_->map().MapSince(waiter.known));
  }
}

// As ClusterState's own thread.
void SimMetaserver::Tick() {
  const int64_t waited_ms = parts_.time->now_ms() - ticked_ms_;
  if (waited_ms > kTickMs + kOfflineAfterMs / 4) state_->StoodStill(absl::Milliseconds(waited_ms));
  ticked_ms_ = parts_.time->now_ms();
  absl::Status status = state_->Tick();
  if (status.ok() && !log_.died) status = state_->fences().Work();
  if (!status.ok() && !log_.died && !log_.full) parts_.checks->Fail(status.ToString());
  parts_.network->In(node_, kTickMs, [this] { Tick(); });
  Look();
}

void SimMetaserver::Register(const wire::RegisterRequest& request,
                             Reply<absl::StatusOr<wire::RegisterResponse>> reply) {
  auto response = state_->Register(request);
  if (log_.died) return Look();
  reply(std::move(response));
  Look();
}

void SimMetaserver::Heartbeat(const wire::HeartbeatRequest& request,
                              Reply<wire::HeartbeatResponse> reply) {
  reply(state_->Heartbeat(request));
}

void SimMetaserver::GetMap(uint64_t known, int64_t wait_ms, const Reply<wire::ClusterMap>& reply) {
  if (state_->map().version() != known) return reply(state_->map().MapSince(known));
  const int id = ++last_waiter_;
  waiters_[id] = {known, reply};
  parts_.network->In(node_, wait_ms, [this, id] {
    auto waiter = waiters_.extract(id);
    if (!waiter.empty()) waiter.mapped().reply(state_->map().MapSince(waiter.mapped().known));
  });
}

void SimMetaserver::Fence(SessionId session) {
  to_fence_.insert(session);
  if (up()) AskFence(session);
}

void SimMetaserver::AskFence(SessionId session) {
  state_->fences().Fence(session, [this, session] {
    parts_.time->Trace(absl::StrCat("session ", session.value(), " is fenced"));
    to_fence_.erase(session);
    parts_.checks->Fenced(session);
  });
}

void SimMetaserver::Delete(const FileLayout& layout, uint64_t chunk_count) {
  to_delete_[layout.content] = {layout, chunk_count};
  if (up()) AskDelete(layout.content);
}

void SimMetaserver::AskDelete(ContentId content) {
  const Deletion deletion = to_delete_.at(content);
  wire::DeleteContent order;
  order.mutable_layout()->set_content_id(content.value());
  order.mutable_layout()->set_seed(deletion.layout.seed);
  order.mutable_layout()->set_chunk_size_log2(deletion.layout.chunk_size_log2);
  order.mutable_layout()->set_storage_class(deletion.layout.storage_class);
  order.set_chunk_count(deletion.chunk_count);
  const bool taken = state_->orders().Delete(order, [this, content] {
    parts_.time->Trace(absl::StrCat("content ", content.value(), " is deleted everywhere"));
    to_delete_.erase(content);
  });
  INVARIANT(taken);
}

std::string SimMetaserver::Unrest() const {
  if (!up()) return "the metaserver is down";
  if (!to_fence_.empty()) return "a session is not fenced";
  if (!to_delete_.empty()) return "a content is not deleted";
  const StorageClass* groups = parts_.checks->map().FindClass(1);
  if (groups == nullptr || groups->groups.empty()) return "no groups";
  for (const Group& group : groups->groups) {
    const std::string name = absl::StrCat("group ", group.id.number);
    if (group.members.size() != options_.replication) {
      return absl::StrCat(name, " has ", group.members.size(), " members");
    }
    for (const GroupMember& member : group.members) {
      if (member.state != wire::MEMBER_IN_SYNC) return name + " is not in sync";
    }
  }
  if (state_->orders().under_way() > 0) return "orders are under way";
  const metaserver::ClusterView view = state_->View();
  if (view.rebalance.running()) return "a rebalance is under way";
  const std::string repair = view.repair.ShortDebugString();
  return repair.empty() ? "" : "repair: " + repair;
}

}  // namespace penstock::simulation

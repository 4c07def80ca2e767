// What a simulated chunkserver does by order: chunkserver/control/order_worker.cc.
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/status.h"
#include "tests/simulation/chunkserver_process.h"

namespace penstock::simulation {

using chunkserver::ChangeKind;
using chunkserver::ChunkInfo;

void SimChunkserver::TakeOrders(const wire::HeartbeatResponse& response,
                                const std::vector<uint64_t>& reported) {
  std::set<uint64_t> asked;
  for (const wire::Order& order : response.orders()) {
    const uint64_t id = order.order_id();
    asked.insert(id);
    if (process_->done_orders.contains(id) || !process_->running_orders.insert(id).second) continue;
    // One at a time, and the others before it may take long.
    const int64_t waits_ms = Pick(0, 3) == 0 ? Pick(60, 1500) : Pick(1, 60);
    In(waits_ms, [this, order] { Execute(order); });
  }
  for (uint64_t id : reported) {
    if (!asked.contains(id)) process_->done_orders.erase(id);
  }
}

void SimChunkserver::Execute(const wire::Order& order) {
  Trace(absl::StrCat("order ", order.ShortDebugString()));
  if (order.has_drop_group()) {
    const wire::DropGroup& drop = order.drop_group();
    std::vector<ChunkKey> keys;
    for (const ChunkKey& key : parts_->keys) {
      if (GroupOfPosition(key.position, shape_.groups) == drop.group()) keys.push_back(key);
    }
    return DropGroup(order, std::move(keys));
  }
  std::vector<std::pair<Target*, ChunkKey>> chunks;
  const ContentId content(order.delete_content().layout().content_id());
  for (Target& target : process_->targets) {
    target.memory.RememberDead(content);
    for (const ChunkKey& key : parts_->keys) {
      if (key.content == content) chunks.emplace_back(&target, key);
    }
  }
  DeleteContent(order, std::move(chunks));
}

absl::Status SimChunkserver::CheckMayDrop(const wire::DropGroup& order) const {
  if (Breaks(Broken::kDropsAnyway)) return absl::OkStatus();
  const Group* group = process_->map.FindGroup({order.storage_class(), order.group()});
  if (group == nullptr || group->epoch != order.epoch()) {
    return absl::AbortedError("the group is not at the order's epoch here");
  }
  if (chunkserver::ViewOf(*group, TargetId(order.target_id())).is_member()) {
    return absl::FailedPreconditionError("the target is a member of the group");
  }
  return absl::OkStatus();
}

// The rest of the group, chunk by chunk.
void SimChunkserver::DropGroup(const wire::Order& order, std::vector<ChunkKey> keys) {
  const wire::DropGroup& drop = order.drop_group();
  Target* const target = Find(TargetId(drop.target_id()));
  if (target == nullptr || !CheckMayDrop(drop).ok()) {
    process_->running_orders.erase(order.order_id());
    return;
  }
  if (keys.empty()) {
    target->disk->replica.Barrier();
    process_->running_orders.erase(order.order_id());
    process_->done_orders.insert(order.order_id());
    return;
  }
  const ChunkKey key = keys.back();
  keys.pop_back();
  Hold(*target, key, [this, order, keys, target, key] {
    // Under the place: a write of a newer epoch to this target comes after it.
    if (CheckMayDrop(order.drop_group()).ok()) target->disk->replica.Drop(key, {});
    Leave(*target, key);
    In(Pick(0, 2), [this, order, keys] { DropGroup(order, keys); });
  });
}

void SimChunkserver::DeleteContent(const wire::Order& order,
                                   std::vector<std::pair<Target*, ChunkKey>> chunks) {
  if (chunks.empty()) {
    process_->running_orders.erase(order.order_id());
    if (!IsSettled(order.delete_content())) return;
    for (Target& target : process_->targets) target.disk->replica.Barrier();
    process_->done_orders.insert(order.order_id());
    return;
  }
  const auto [target, key] = chunks.back();
  chunks.pop_back();
  Hold(*target, key, [this, order, chunks, target = target, key = key] {
    DropChunk(*target, key);
    Leave(*target, key);
    In(Pick(0, 2), [this, order, chunks] { DeleteContent(order, chunks); });
  });
}

// No target is being brought to what others have.
bool SimChunkserver::IsSettled(const wire::DeleteContent& order) const {
  for (const ChunkKey& key : parts_->keys) {
    if (key.content.value() != order.layout().content_id()) continue;
    const Group* group = process_->map.GroupOf(1, key.position);
    if (group == nullptr) return false;  // not known yet
    for (const Target& target : process_->targets) {
      const auto view = chunkserver::ViewOf(*group, target.disk->id);
      if (view.is_member() && !view.in_sync) return false;
    }
  }
  return true;
}

void SimChunkserver::DropChunk(Target& target, const ChunkKey& key) {
  SimReplica& replica = target.disk->replica;
  const ChunkInfo info = replica.Get(key).info;
  if (!info.exists() && !info.pending) return;
  absl::Status status;
  if (info.pending) status.Update(replica.Discard(key, *info.pending));
  const ChunkVersion newest = std::max(info.committed, info.pending.value_or(ChunkVersion{}));
  const Group* group = process_->map.GroupOf(1, key.position);
  replica.RaiseSequence(newest.sequence);
  const ChunkVersion version{std::max(newest.epoch, group == nullptr ? 0 : group->epoch),
                             replica.NextSequence()};
  if (info.exists()) {
    chunkserver::SimChange change;
    change.kind = ChangeKind::kDelete;
    status.Update(replica.Stage(key, version, change));
    status.Update(replica.Commit(key, version));
  }
  if (!status.ok()) parts_->checks->Fail(status.ToString());
}

}  // namespace penstock::simulation

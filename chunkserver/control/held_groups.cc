#include "chunkserver/control/held_groups.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <bit>

#include "common/logging.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

constexpr uint32_t kMaxGroups = 1u << 20;  // of a storage class

}  // namespace

absl::StatusOr<wire::HeldGroups> HeldGroups::Look(Target& target, uint32_t group_count) {
  wire::HeldGroups held;
  held.set_target_id(target.target_id().value());
  held.set_group_count(group_count);
  std::string& groups = *held.mutable_groups();
  groups.assign((group_count + 7) / 8, '\0');
  for (uint32_t group = 0; group < group_count; ++group) {
    bool any = false;
    RETURN_IF_ERROR(target.store->VisitGroup(group, group_count, std::nullopt,
                                             [&](const ChunkKey&, const ChunkInfo&) {
                                               any = true;
                                               return false;
                                             }));
    if (any) groups[group / 8] = static_cast<char>(groups[group / 8] | 1 << (group % 8));
  }
  return held;
}

void HeldGroups::Run(uint32_t group_count) {
  std::vector<wire::HeldGroups> found;
  for (const auto& target : targets_->all()) {
    if (stop_.is_set()) break;
    if (!target->is_open() || target->removed) continue;
    auto held = Look(*target, group_count);
    if (held.ok()) {
      found.push_back(*std::move(held));
    } else {
      SPDLOG_WARN("index not read for the metaserver target={} error={}",
                  target->target_id().value(), Quoted(held.status().ToString()));
    }
  }
  SPDLOG_INFO("groups held found targets={} groups={}", found.size(), group_count);
  absl::MutexLock lock(&mu_);
  running_ = false;
  if (asked_ == group_count) found_ = std::move(found);
}

void HeldGroups::Ask(uint32_t group_count) {
  if (group_count > kMaxGroups || !std::has_single_bit(std::max(group_count, 1u))) return;
  {
    absl::MutexLock lock(&mu_);
    if (asked_ != group_count) found_.clear();
    asked_ = group_count;
    size_t open = 0;
    for (const auto& target : targets_->all()) open += target->is_open() && !target->removed;
    if (group_count == 0 || running_ || (found_.size() == open && open > 0)) return;
    running_ = true;
  }
  if (thread_.joinable()) thread_.join();  // it has ended
  thread_ = std::thread([this, group_count] {
    pthread_setname_np(pthread_self(), "held-groups");
    Run(group_count);
  });
}

std::vector<wire::HeldGroups> HeldGroups::Found() const {
  absl::MutexLock lock(&mu_);
  return found_;
}

void HeldGroups::Stop() {
  stop_.Set();
  if (thread_.joinable()) thread_.join();
}

}  // namespace penstock::chunkserver

#include "metaserver/cluster/group_digest.h"

#include <absl/strings/str_cat.h>

namespace penstock::metaserver {
namespace {

constexpr size_t kMaxTargets = 12;  // in one line

}  // namespace

void GroupDigest::Count(const Membership& before, const Membership& after, absl::Duration now) {
  const bool fresh = targets_.empty();
  bool any = false;
  for (const GroupMember& member : before.members) {
    if (after.Find(member.target) != nullptr) continue;
    ++targets_[member.target].left;
    any = true;
  }
  for (const GroupMember& member : after.members) {
    const GroupMember* was = before.Find(member.target);
    if (was != nullptr && was->state == member.state) continue;
    Counts& counts = targets_[member.target];
    if (member.state == wire::MEMBER_IN_SYNC) {
      ++counts.in_sync;
    } else {
      ++(was == nullptr ? counts.joined : counts.behind);
    }
    any = true;
  }
  if (!any) return;
  if (fresh) first_ = now;
  last_ = now;
}

std::optional<std::string> GroupDigest::Take(absl::Duration now) {
  if (targets_.empty() || (now - last_ < kQuiet && now - first_ < kAtLatest)) return std::nullopt;
  std::string text;
  size_t shown = 0;
  for (const auto& [target, counts] : targets_) {
    if (++shown > kMaxTargets) break;
    auto add = [&, id = target](uint32_t count, std::string_view what) {
      if (count == 0) return;
      absl::StrAppend(&text, text.empty() ? "" : ", ", "target ", id.value(), " ",
                      std::string(what), " ", count, count == 1 ? " group" : " groups");
    };
    add(counts.left, "left");
    add(counts.joined, "joined");
    add(counts.behind, "has to catch up in");
    add(counts.in_sync, "is in sync in");
  }
  if (targets_.size() > kMaxTargets) {
    absl::StrAppend(&text, ", and so on with ", targets_.size() - kMaxTargets, " other targets");
  }
  targets_.clear();
  return text;
}

}  // namespace penstock::metaserver

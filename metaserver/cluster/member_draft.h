// A MemberTable's next state while it is planned: several changes of one group build on each other
// and become one record. A plain value; the table must outlive it.
#pragma once

#include <absl/status/statusor.h>

#include <utility>
#include <vector>

#include "metaserver/cluster/member_table.h"

namespace penstock::metaserver {

class MemberDraft {
 public:
  explicit MemberDraft(const MemberTable* table) : table_(table) {}

  // As drafted, else as it is.
  const Membership* Find(GroupId id) const {
    const Membership* drafted = changed_.Find(id);
    return drafted != nullptr ? drafted : table_->Find(id);
  }
  bool IsAsBefore(GroupId id) const { return *Find(id) == *table_->Find(id); }
  // Takes MemberTable's Plan* for the group as drafted; false when its rules refuse.
  template <typename Plan, typename... Args>
  bool Try(Plan plan, GroupId id, Args&&... args) {
    if (changed_.Find(id) == nullptr) {
      const Membership* now = table_->Find(id);
      if (now == nullptr) return false;
      changed_.Install(*now);
    }
    auto next = (changed_.*plan)(id, std::forward<Args>(args)...);
    if (!next.ok()) return false;
    changed_.Install(*std::move(next));
    return true;
  }
  std::vector<Membership> Changes() const {
    std::vector<Membership> changes;
    for (const auto& [id, next] : changed_.groups()) {
      if (next != *table_->Find(id)) changes.push_back(next);
    }
    return changes;
  }

 private:
  const MemberTable* table_;
  MemberTable changed_;
};

}  // namespace penstock::metaserver

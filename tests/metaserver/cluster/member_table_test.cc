#include "metaserver/cluster/member_table.h"

#include <catch2/catch.hpp>

#include "common/status.h"

using namespace penstock;
using namespace penstock::metaserver;

namespace {

const GroupId kGroup{1, 7};
const TargetId A{1}, B{2}, C{3};

class OneGroup {
 public:
  explicit OneGroup(const std::vector<TargetId>& members) {
    table.Install(MemberTable::NewGroup(kGroup, members));
  }
  absl::Status Take(absl::StatusOr<Membership> plan) {
    if (plan.ok()) table.Install(*std::move(plan));
    return plan.status();
  }
  const Membership& now() const { return *table.Find(kGroup); }
  std::string Chain() const {  // "1 2 3?" with ? for syncing
    std::string text;
    for (const GroupMember& member : now().members) {
      absl::StrAppend(&text, text.empty() ? "" : " ", member.target.value(),
                      member.state == wire::MEMBER_SYNCING ? "?" : "");
    }
    return text;
  }
  MemberTable table;
};

}  // namespace

TEST_CASE("a new group is in sync in epoch 1", "[metaserver][member_table]") {
  OneGroup group({B, A});
  REQUIRE(group.Chain() == "2 1");
  REQUIRE(group.now().epoch == 1);
  REQUIRE(group.now().basis == std::vector<TargetId>{A, B});
}

TEST_CASE("a member goes only while another in-sync member is live", "[metaserver][member_table]") {
  OneGroup group({A, B});
  REQUIRE(absl::IsFailedPrecondition(group.Take(group.table.PlanRemove(kGroup, B, {B}))));
  REQUIRE(absl::IsFailedPrecondition(group.Take(group.table.PlanRemove(kGroup, B, {C}))));
  REQUIRE(group.Take(group.table.PlanRemove(kGroup, B, {A})).ok());
  REQUIRE(group.Chain() == "1");
  REQUIRE(group.now().epoch == 2);
  REQUIRE(absl::IsFailedPrecondition(group.Take(group.table.PlanRemove(kGroup, A, {A}))));
}

TEST_CASE("a removed copy counts until a survivor has the new epoch",
          "[metaserver][member_table]") {
  OneGroup group({A, B});
  REQUIRE(group.Take(group.table.PlanRemove(kGroup, B, {A})).ok());
  REQUIRE(group.now().basis == std::vector<TargetId>{A, B});
  REQUIRE(group.table.MayDrop(kGroup).empty());
  REQUIRE(!group.Take(group.table.PlanConfirm(kGroup, A, 1)).ok());  // the old epoch says nothing
  REQUIRE(group.Take(group.table.PlanConfirm(kGroup, A, 2)).ok());
  REQUIRE(group.now().basis == std::vector<TargetId>{A});
  REQUIRE(group.table.MayDrop(kGroup) == std::vector<TargetId>{B});
}

TEST_CASE("a syncing member stands last and joins for its own epoch only",
          "[metaserver][member_table]") {
  OneGroup group({A, B});
  REQUIRE(group.Take(group.table.PlanAdd(kGroup, C)).ok());
  REQUIRE(group.Chain() == "1 2 3?");
  REQUIRE(absl::IsFailedPrecondition(group.Take(group.table.PlanSynced(kGroup, C, 1))));
  REQUIRE(group.Take(group.table.PlanSynced(kGroup, C, 2)).ok());
  REQUIRE(group.Chain() == "1 2 3");
  REQUIRE(group.now().epoch == 3);
  REQUIRE(absl::IsAlreadyExists(group.Take(group.table.PlanAdd(kGroup, C))));
}

TEST_CASE("a rebooted member comes back as syncing", "[metaserver][member_table]") {
  OneGroup group({A, B, C});
  REQUIRE(group.Take(group.table.PlanRebooted(kGroup, A)).ok());
  REQUIRE(group.Chain() == "2 3 1?");
  REQUIRE(group.now().epoch == 2);
  REQUIRE(group.Take(group.table.PlanSynced(kGroup, A, 2)).ok());
  REQUIRE(group.Chain() == "2 3 1");
}

TEST_CASE("when all rebooted they reconcile and are in sync together",
          "[metaserver][member_table]") {
  OneGroup group({A, B});
  REQUIRE(group.Take(group.table.PlanRebooted(kGroup, A)).ok());
  REQUIRE(group.Take(group.table.PlanRebooted(kGroup, B)).ok());
  REQUIRE(group.Chain() == "1? 2?");
  REQUIRE(group.now().reconciling());
  const uint32_t epoch = group.now().epoch;
  REQUIRE(!group.Take(group.table.PlanSynced(kGroup, A, epoch)).ok());
  REQUIRE(!group.Take(group.table.PlanReconciled(kGroup, epoch - 1)).ok());
  // A third boot in between makes what was exchanged worthless.
  REQUIRE(group.Take(group.table.PlanRebooted(kGroup, A)).ok());
  REQUIRE(!group.Take(group.table.PlanReconciled(kGroup, epoch)).ok());
  REQUIRE(group.Take(group.table.PlanReconciled(kGroup, epoch + 1)).ok());
  REQUIRE(group.Chain() == "1 2");
}

TEST_CASE("a copy sent away counts again when the survivor reboots before it took the epoch",
          "[metaserver][member_table]") {
  OneGroup group({A, B});
  REQUIRE(group.Take(group.table.PlanRemove(kGroup, B, {A})).ok());
  REQUIRE(group.Take(group.table.PlanRebooted(kGroup, A)).ok());
  REQUIRE(group.Chain() == "1? 2?");
}

TEST_CASE("former members drop their chunks only when all is in sync",
          "[metaserver][member_table]") {
  OneGroup group({A, B});
  REQUIRE(group.Take(group.table.PlanRemove(kGroup, B, {A})).ok());
  REQUIRE(group.Take(group.table.PlanAdd(kGroup, C)).ok());
  REQUIRE(group.Take(group.table.PlanConfirm(kGroup, A, 3)).ok());
  REQUIRE(group.table.MayDrop(kGroup).empty());
  REQUIRE(group.Take(group.table.PlanSynced(kGroup, C, 3)).ok());
  REQUIRE(group.table.MayDrop(kGroup).empty());  // nobody has epoch 4 yet
  REQUIRE(group.Take(group.table.PlanConfirm(kGroup, A, 4)).ok());
  REQUIRE(group.table.MayDrop(kGroup) == std::vector<TargetId>{B});
  REQUIRE(group.Take(group.table.PlanAdd(kGroup, B)).ok());  // it may still come back
  REQUIRE(group.table.MayDrop(kGroup).empty());
}

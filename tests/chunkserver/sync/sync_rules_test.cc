#include "chunkserver/sync/sync_rules.h"

#include <catch2/catch.hpp>

#include "common/status.h"

namespace penstock::chunkserver {
namespace {

constexpr ChunkVersion kOld{2, 5}, kMid{3, 6}, kNew{4, 9};
const SyncPass kFollow{SyncRole::kFollow, 4, false};
const SyncPass kLead{SyncRole::kLead, 4, true};

Group MakeGroup(std::vector<uint32_t> in_sync, std::vector<uint32_t> syncing,
                uint32_t reconciling = 0) {
  Group group;
  group.epoch = 4;
  group.reconciling = reconciling;
  for (uint32_t id : in_sync) group.members.push_back({TargetId(id), wire::MEMBER_IN_SYNC});
  for (uint32_t id : syncing) group.members.push_back({TargetId(id), wire::MEMBER_SYNCING});
  return group;
}

ChunkInfo Own(ChunkVersion committed, std::optional<ChunkVersion> pending = std::nullopt) {
  ChunkInfo info;
  info.committed = committed;
  info.pending = pending;
  return info;
}

SyncAction Action(const SyncPass& pass, const ChunkInfo& own, const SourceChunk& source) {
  return DecideSync(pass, own, source).action;
}
bool Again(const SyncPass& pass, const ChunkInfo& own, const SourceChunk& source) {
  return DecideSync(pass, own, source).again;
}

TEST_CASE("a syncing member copies from an in-sync one, the last first", "[sync][rules]") {
  const Group group = MakeGroup({1, 2}, {3, 4});
  REQUIRE(RoleOf(group, TargetId(2)) == SyncRole::kNone);
  REQUIRE(RoleOf(group, TargetId(9)) == SyncRole::kNone);
  REQUIRE(RoleOf(group, TargetId(3)) == SyncRole::kFollow);
  REQUIRE(SourcesOf(group, TargetId(4)) == std::vector<TargetId>{TargetId(2), TargetId(1)});
}

TEST_CASE("in a reconciling group the first member hears the others, and they copy from it",
          "[sync][rules]") {
  const Group group = MakeGroup({}, {1, 2, 3, 4}, 3);
  REQUIRE(RoleOf(group, TargetId(1)) == SyncRole::kLead);
  REQUIRE(RoleOf(group, TargetId(2)) == SyncRole::kFollow);
  REQUIRE(SourcesOf(group, TargetId(1)) == std::vector<TargetId>{TargetId(2), TargetId(3)});
  REQUIRE(SourcesOf(group, TargetId(4)) == std::vector<TargetId>{TargetId(1)});
}

TEST_CASE("only a member whose word counts answers, and only to another member", "[sync][rules]") {
  const auto may = [](const Group& group, uint32_t asked, uint32_t asker, uint32_t epoch,
                      bool adopted = false) {
    return MayAnswer(group, {TargetId(asked), TargetId(asker), epoch, adopted}).ok();
  };
  const Group group = MakeGroup({1, 2}, {3, 4});
  REQUIRE(may(group, 2, 3, 4));
  REQUIRE(!may(group, 2, 3, 3));
  REQUIRE(!may(group, 2, 3, 5));
  REQUIRE(!may(group, 2, 2, 4));
  REQUIRE(!may(group, 2, 9, 4));
  REQUIRE(!may(group, 3, 4, 4));
  const Group exchange = MakeGroup({}, {1, 2, 3}, 2);
  REQUIRE(may(exchange, 2, 1, 4));
  REQUIRE(!may(exchange, 3, 1, 4));  // its copies do not count
  REQUIRE(!may(exchange, 2, 3, 4));
  REQUIRE(!may(exchange, 1, 2, 4));
  REQUIRE(may(exchange, 1, 2, 4, /*adopted=*/true));
}

TEST_CASE("what differs from the source is taken, also when it is newer here", "[sync][rules]") {
  REQUIRE(Action(kFollow, Own(kOld), {kOld}) == SyncAction::kNothing);
  REQUIRE(Action(kFollow, Own(kOld), {kMid}) == SyncAction::kTake);
  REQUIRE(Action(kFollow, Own(kMid), {kOld}) == SyncAction::kTake);
  REQUIRE(Action(kFollow, Own({}), {kMid}) == SyncAction::kTake);
  REQUIRE(Action(kFollow, Own(kOld), {}) == SyncAction::kDrop);
  REQUIRE(Action(kFollow, Own({}, kOld), {}) == SyncAction::kDiscard);
  REQUIRE(Action(kFollow, Own(kOld, kMid), {kOld}) == SyncAction::kDiscard);
  REQUIRE(Action(kFollow, Own(kOld, kMid), {kMid}) == SyncAction::kTake);
}

TEST_CASE("what the chain has brought here is kept", "[sync][rules]") {
  REQUIRE(Action(kFollow, Own(kNew), {kOld, kNew}) == SyncAction::kNothing);
  REQUIRE(!Again(kFollow, Own(kNew), {kOld, kNew}));
  REQUIRE(Action(kFollow, Own(kOld, kNew), {kOld, kNew}) == SyncAction::kNothing);
  // The pending one may be the deletion that made it absent here.
  REQUIRE(Action(kFollow, Own({}), {kOld, kNew}) == SyncAction::kNothing);
  REQUIRE(Again(kFollow, Own({}), {kOld, kNew}));
  ChunkInfo bad = Own(kNew);
  bad.quarantined = true;
  REQUIRE(Action(kFollow, bad, {kOld, kNew}) == SyncAction::kNothing);
  REQUIRE(Again(kFollow, bad, {kOld, kNew}));
  REQUIRE(Action(kFollow, bad, {kNew}) == SyncAction::kTake);
}

TEST_CASE("a version of an earlier epoch that is pending at the source is waited for",
          "[sync][rules]") {
  REQUIRE(Again(kFollow, Own(kOld), {kOld, kMid}));
  REQUIRE(!Again(kFollow, Own(kMid), {kOld, kMid}));
  REQUIRE(!Again(kFollow, Own(kOld), {kOld, kNew}));
  REQUIRE(!Again({SyncRole::kFollow, 4, true}, Own(kOld), {kOld, kMid}));
}

TEST_CASE("nothing is copied from damaged bytes", "[sync][rules]") {
  REQUIRE(Action(kFollow, Own(kOld), {kMid, std::nullopt, true}) == SyncAction::kNothing);
  REQUIRE(Again(kFollow, Own(kOld), {kMid, std::nullopt, true}));
  REQUIRE(!Again(kFollow, Own(kMid), {kMid, std::nullopt, true}));
}

TEST_CASE("the leader adopts what is newer, and never deletes", "[sync][rules]") {
  REQUIRE(Action(kLead, Own(kOld), {kMid}) == SyncAction::kTake);
  REQUIRE(Action(kLead, Own(kMid), {kOld}) == SyncAction::kNothing);
  REQUIRE(Action(kLead, Own(kMid), {}) == SyncAction::kNothing);
  REQUIRE(Action(kLead, Own({}, kMid), {kMid}) == SyncAction::kTake);
  ChunkInfo bad = Own(kMid);
  bad.quarantined = true;
  REQUIRE(Action(kLead, bad, {kMid}) == SyncAction::kTake);
  REQUIRE(Again(kLead, Own(kOld), {kMid, std::nullopt, true}));
}

TEST_CASE("listings can begin at a key", "[sync][rules]") {
  const ChunkKey first{6, ContentId(9), 0}, second{6, ContentId(9), 1};
  REQUIRE(JustBefore(second) == first);
  REQUIRE(JustBefore(first) == ChunkKey{6, ContentId(8), UINT32_MAX});
  REQUIRE(InStoreOrder(JustBefore(first), first));
  REQUIRE(InStoreOrder(ChunkKey{6, ContentId(9), 5}, ChunkKey{1, ContentId(9), 0}));
}

}  // namespace
}  // namespace penstock::chunkserver

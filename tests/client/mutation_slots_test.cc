#include "client/mutation_slots.h"

#include <catch2/catch.hpp>

#include "common/status.h"

namespace penstock::client {
namespace {

const SessionId kSession(9);

MutationSlots::Turn Take(MutationSlots& slots, wire::Method method, RepeatableRequest* request) {
  OpContext op;
  op.request = request;
  auto turn = slots.Take({method, kSession, absl::Milliseconds(50)}, op);
  REQUIRE(turn.ok());
  slots.Done(*turn, op);
  return *turn;
}

void Number(RepeatableRequest& request, uint64_t number, bool again) {
  request.number = number;
  request.again = again;
}

TEST_CASE("a request keeps its slot until it is answered", "[client][slots]") {
  SlotRecords records;
  MutationSlots slots(&records);
  uint32_t slot = 0;
  {
    RepeatableRequest request;
    Number(request, 8, false);
    slot = Take(slots, wire::METHOD_PUBLISH, &request).slot;
    const auto second = Take(slots, wire::METHOD_RENAME, &request);
    REQUIRE(second.slot == slot);
    REQUIRE(second.sequence == 2);
    REQUIRE(Take(slots, wire::METHOD_MKDIR, nullptr).slot != slot);
    REQUIRE(records[slot].request.load() == 8);
  }
  REQUIRE(records[slot].request.load() == 0);
}

TEST_CASE("a request that comes again after a crash is sent as it was", "[client][slots]") {
  SlotRecords records;
  auto dead = std::make_unique<MutationSlots>(&records);
  RepeatableRequest before;
  Number(before, 8, false);
  const auto first = Take(*dead, wire::METHOD_MKDIR, &before);
  MutationSlots slots(&records);
  RepeatableRequest again;
  Number(again, 8, true);
  const auto second = Take(slots, wire::METHOD_MKDIR, &again);
  REQUIRE(second.slot == first.slot);
  REQUIRE(second.sequence == first.sequence);
  REQUIRE(second.sent_before == kSession);
}

TEST_CASE("what may be done twice is done anew, under the slot it had", "[client][slots]") {
  SlotRecords records;
  MutationSlots dead(&records);
  RepeatableRequest before;
  Number(before, 8, false);
  const auto first = Take(dead, wire::METHOD_PUBLISH, &before);
  MutationSlots slots(&records);
  RepeatableRequest again;
  Number(again, 8, true);
  const auto second = Take(slots, wire::METHOD_PUBLISH, &again);
  REQUIRE(second.slot == first.slot);
  REQUIRE(second.sequence == first.sequence + 1);
  REQUIRE(!second.sent_before.valid());
}

TEST_CASE("a request that was answered leaves nothing to find", "[client][slots]") {
  SlotRecords records;
  {
    MutationSlots dead(&records);
    RepeatableRequest request;
    Number(request, 8, false);
    Take(dead, wire::METHOD_MKDIR, &request);
  }
  MutationSlots slots(&records);
  RepeatableRequest again;
  Number(again, 8, true);
  REQUIRE(!Take(slots, wire::METHOD_MKDIR, &again).sent_before.valid());
}

TEST_CASE("what an earlier client left unanswered is kept for it", "[client][slots]") {
  SlotRecords records;
  records[kMutationSlots - 1].request = 8;
  records[0].request = 10;
  MutationSlots slots(&records);
  std::vector<std::unique_ptr<RepeatableRequest>> requests;
  for (uint32_t i = 0; i < kMutationSlots - 2; ++i) {
    requests.push_back(std::make_unique<RepeatableRequest>());
    Number(*requests.back(), 100 + i, false);
    const uint32_t slot = Take(slots, wire::METHOD_MKDIR, requests.back().get()).slot;
    REQUIRE(slot != 0);
    REQUIRE(slot != kMutationSlots - 1);
  }
  auto none = slots.Take({wire::METHOD_MKDIR, kSession, absl::Milliseconds(10)}, OpContext{});
  REQUIRE(ErrnoOf(none.status()) == EIO);  // all others are taken
  RepeatableRequest again;
  Number(again, 10, true);
  REQUIRE(Take(slots, wire::METHOD_MKDIR, &again).slot == 0);
}

}  // namespace
}  // namespace penstock::client

#include "chunkserver/store/slot_allocator.h"

#include <catch2/catch.hpp>
#include <set>

namespace penstock::chunkserver {

TEST_CASE("slot sizes waste less than a fifth above 16 KiB and are multiples of 4 KiB",
          "[chunkserver][store]") {
  REQUIRE(SlotBytesFor(1) == 4 * kKiB);
  REQUIRE(SlotBytesFor(4 * kKiB) == 4 * kKiB);
  REQUIRE(SlotBytesFor(4 * kKiB + 1) == 8 * kKiB);
  REQUIRE(SlotBytesFor(33 * kKiB) == 40 * kKiB);
  REQUIRE(SlotBytesFor(4 * kMiB) == 4 * kMiB);
  REQUIRE(SlotBytesFor(4 * kMiB + 1) == 5 * kMiB);
  REQUIRE(SlotBytesFor(64 * kMiB) == 64 * kMiB);
  std::set<uint32_t> sizes;
  for (uint32_t length = 1; length <= 8 * kMiB; length += 1021) {
    const uint32_t bytes = SlotBytesFor(length);
    REQUIRE(bytes >= length);
    REQUIRE(bytes % kBlockBytes == 0);
    REQUIRE(SlotBytesFor(bytes) == bytes);
    if (length > 16 * kKiB) REQUIRE(bytes - length < bytes / 5 + kBlockBytes);
    sizes.insert(bytes);
  }
  REQUIRE(sizes.size() == 4 + 4 * 9);
}

TEST_CASE("a slot has one owner until it is released, and a slab one size at a time",
          "[chunkserver][store]") {
  SlotAllocator slots(64 * kKiB);
  std::set<Slot> taken;
  for (int i = 0; i < 40; ++i) {
    const auto t = slots.Take(4 * kKiB);
    REQUIRE(t.new_slab == (i % 16 == 0));
    if (t.new_slab) slots.Publish(t.slot.slab);
    REQUIRE(taken.insert(t.slot).second);
    REQUIRE(slots.IsUsed(t.slot));
  }
  REQUIRE(slots.slab_count() == 3);
  for (const Slot& slot : taken) slots.Release(slot);
  // An empty slab serves another size before a new one is made.
  REQUIRE(slots.Take(20 * kKiB).new_slab);
  REQUIRE(slots.slab_count() == 3);
}

TEST_CASE("a slab that could not be made is offered again", "[chunkserver][store]") {
  SlotAllocator slots(64 * kKiB);
  const auto first = slots.Take(4 * kKiB);
  slots.Abandon(first.slot);
  const auto second = slots.Take(8 * kKiB);
  REQUIRE(second.new_slab);
  REQUIRE(second.slot.slab == first.slot.slab);
}

TEST_CASE("a bitmap survives its encoding, finds the free slot and refuses another format",
          "[chunkserver][store]") {
  SlabBitmap bitmap(4 * kKiB, 130);
  for (uint32_t i = 0; i < 130; ++i) {
    if (i != 77) bitmap.Set(i);
  }
  std::string bytes = bitmap.Encode();
  absl::StatusOr<SlabBitmap> decoded = SlabBitmap::Decode(bytes);
  REQUIRE(decoded.ok());
  REQUIRE(decoded->used() == 129);
  REQUIRE(decoded->TakeFree(100) == 77);
  REQUIRE(decoded->full());
  decoded->Clear(129);
  REQUIRE(decoded->TakeFree(0) == 129);
  bytes[0] = 2;
  REQUIRE(absl::IsFailedPrecondition(SlabBitmap::Decode(bytes).status()));
  REQUIRE(absl::IsDataLoss(SlabBitmap::Decode(bytes.substr(0, 0)).status()));
}

}  // namespace penstock::chunkserver

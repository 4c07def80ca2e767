#include "chunkserver/store/slot_allocator.h"

#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include <bit>

#include "chunkserver/store/little_endian.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {
constexpr uint8_t kBitmapFormat = 1;
}  // namespace

absl::StatusOr<SlabBitmap> SlabBitmap::Decode(std::string_view bytes) {
  WordReader in(bytes);
  const uint8_t format = in.Get<uint8_t>();
  if (in.ok() && format != kBitmapFormat) {
    return absl::FailedPreconditionError(absl::StrCat("slab record: unknown format ", format));
  }
  const uint32_t slot_bytes = in.Get<uint32_t>();
  const uint32_t slots = in.Get<uint32_t>();
  if (slot_bytes == 0 || slot_bytes % kBlockBytes != 0 ||
      in.rest().size() != uint64_t{(slots + 63) / 64} * 8) {
    return absl::DataLossError("slab record: damaged");
  }
  SlabBitmap bitmap(slot_bytes, slots);
  for (uint64_t& word : bitmap.words_) {
    word = in.Get<uint64_t>();
    bitmap.used_ += std::popcount(word);
  }
  return bitmap;
}

std::string SlabBitmap::Encode() const {
  std::string out;
  PutWord(out, kBitmapFormat);
  PutWord(out, slot_bytes_);
  PutWord(out, slots_);
  for (uint64_t word : words_) PutWord(out, word);
  return out;
}

void SlabBitmap::Set(uint32_t index) {
  if (Test(index)) return;
  words_[index / 64] |= uint64_t{1} << (index % 64);
  ++used_;
}

void SlabBitmap::Clear(uint32_t index) {
  if (!Test(index)) return;
  words_[index / 64] &= ~(uint64_t{1} << (index % 64));
  --used_;
}

uint32_t SlabBitmap::TakeFree(uint32_t hint) {
  INVARIANT(!full());
  for (uint32_t index = hint < slots_ ? hint : 0;;) {
    // Bits before `index` in its word count as taken in this step.
    const uint64_t taken = words_[index / 64] | ((uint64_t{1} << (index % 64)) - 1);
    if (taken != ~uint64_t{0}) {
      const uint32_t found = index / 64 * 64 + std::countr_one(taken);
      if (found < slots_) {
        Set(found);
        return found;
      }
    }
    index = (index / 64 + 1) * 64;
    if (index >= slots_) index = 0;
  }
}

void SlotAllocator::Offer(uint32_t number, const Slab& slab) {
  if (slab.bitmap.used() == 0) {
    empty_.insert(number);
    with_space_[slab.bitmap.slot_bytes()].erase(number);
  } else if (slab.bitmap.full()) {
    with_space_[slab.bitmap.slot_bytes()].erase(number);
  } else {
    with_space_[slab.bitmap.slot_bytes()].insert(number);
  }
}

SlotAllocator::Taken SlotAllocator::Take(uint32_t slot_bytes) {
  absl::MutexLock lock(&mu_);
  std::set<uint32_t>& candidates = with_space_[slot_bytes];
  if (!candidates.empty()) {
    const uint32_t number = *candidates.begin();
    Slab& slab = slabs_.find(number)->second;
    const uint32_t index = slab.bitmap.TakeFree(slab.hint);
    slab.hint = index + 1;
    slab.touched = std::max(slab.touched, slab.hint);
    if (slab.bitmap.full()) candidates.erase(number);
    return {Slot{number, index, slot_bytes}, false};
  }
  uint32_t number = 0;
  if (!empty_.empty()) {
    number = *empty_.begin();
    empty_.erase(empty_.begin());
  } else if (!slabs_.empty()) {
    number = slabs_.rbegin()->first + 1;
  }
  Slab slab{SlabBitmap(slot_bytes, SlotsPerSlab(slot_bytes)), 1, 1};
  slab.bitmap.Set(0);
  slabs_[number] = std::move(slab);  // offered to others by Publish
  return {Slot{number, 0, slot_bytes}, true};
}

void SlotAllocator::Publish(uint32_t slab) {
  absl::MutexLock lock(&mu_);
  Offer(slab, slabs_.find(slab)->second);
}

void SlotAllocator::Abandon(const Slot& slot) {
  absl::MutexLock lock(&mu_);
  slabs_.find(slot.slab)->second.bitmap.Clear(slot.index);
  empty_.insert(slot.slab);
}

void SlotAllocator::Release(const Slot& slot) {
  absl::MutexLock lock(&mu_);
  auto it = slabs_.find(slot.slab);
  if (it == slabs_.end() || it->second.bitmap.slot_bytes() != slot.bytes ||
      slot.index >= it->second.bitmap.slots() || !it->second.bitmap.Test(slot.index)) {
    // Of an index that contradicts itself: the slot stays taken until the index is made anew.
    SPDLOG_ERROR("a slot that nobody had taken is not given back slab={} slot={} bytes={}",
                 slot.slab, slot.index, slot.bytes);
    return;
  }
  it->second.bitmap.Clear(slot.index);
  Offer(slot.slab, it->second);
}

void SlotAllocator::AddSlab(uint32_t slab, SlabBitmap bitmap) {
  absl::MutexLock lock(&mu_);
  const uint32_t touched = bitmap.slots();
  Slab& added = slabs_[slab];
  added = Slab{std::move(bitmap), 0, touched};
  Offer(slab, added);
}

absl::Status SlotAllocator::AddUsed(const Slot& slot) {
  absl::MutexLock lock(&mu_);
  auto it = slabs_.find(slot.slab);
  if (it == slabs_.end() || it->second.bitmap.slot_bytes() != slot.bytes ||
      slot.index >= it->second.bitmap.slots()) {
    return absl::DataLossError(
        absl::StrCat("a chunk lies in slab ", slot.slab, ", which has no such slot"));
  }
  empty_.erase(slot.slab);
  it->second.bitmap.Set(slot.index);
  Offer(slot.slab, it->second);
  return absl::OkStatus();
}

uint64_t SlotAllocator::reusable_bytes() const {
  absl::MutexLock lock(&mu_);
  uint64_t bytes = 0;
  for (const auto& [number, slab] : slabs_) {
    if (slab.bitmap.slot_bytes() >= kPunchedSlotBytes || slab.touched <= slab.bitmap.used()) {
      continue;
    }
    bytes += uint64_t{slab.touched - slab.bitmap.used()} * slab.bitmap.slot_bytes();
  }
  return bytes;
}

size_t SlotAllocator::slab_count() const {
  absl::MutexLock lock(&mu_);
  return slabs_.size();
}

bool SlotAllocator::IsUsed(const Slot& slot) const {
  absl::MutexLock lock(&mu_);
  auto it = slabs_.find(slot.slab);
  return it != slabs_.end() && it->second.bitmap.slot_bytes() == slot.bytes &&
         slot.index < it->second.bitmap.slots() && it->second.bitmap.Test(slot.index);
}

}  // namespace penstock::chunkserver

// SlotAllocator hands out the slots of a target's slabs: a bitmap a slab, all slots of a slab of
// one size. Thread-safe. Knows nothing of files: the caller makes a slab's file before it uses a
// slot that was announced with `new_slab`.
//
// A slot goes back only after the barrier that made the record without it durable (Release), so
// that no record which a crash may restore ever names a slot with other bytes.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/types/span.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "chunkserver/store/slot.h"

namespace penstock::chunkserver {

// Which slots of one slab are taken; the value of a slab's key in the index.
class SlabBitmap {
 public:
  SlabBitmap() = default;
  SlabBitmap(uint32_t slot_bytes, uint32_t slots)
      : slot_bytes_(slot_bytes), slots_(slots), words_((slots + 63) / 64) {}
  static absl::StatusOr<SlabBitmap> Decode(std::string_view bytes);
  std::string Encode() const;

  uint32_t slot_bytes() const { return slot_bytes_; }
  uint32_t slots() const { return slots_; }
  uint32_t used() const { return used_; }
  bool full() const { return used_ == slots_; }
  bool Test(uint32_t index) const { return (words_[index / 64] >> (index % 64)) & 1; }
  void Set(uint32_t index);  // no change when it is set
  void Clear(uint32_t index);
  // Sets and returns the first free one from `hint` on, wrapping. There is one.
  uint32_t TakeFree(uint32_t hint);

 private:
  uint32_t slot_bytes_ = 0;
  uint32_t slots_ = 0;
  uint32_t used_ = 0;
  std::vector<uint64_t> words_;
};

class SlotAllocator {
 public:
  explicit SlotAllocator(uint64_t slab_bytes) : slab_bytes_(slab_bytes) {}

  struct Taken {
    Slot slot;
    bool new_slab = false;  // its file is to be made, or blanked, and its size recorded
  };
  // A slot of exactly `slot_bytes` (SlotBytesFor).
  Taken Take(uint32_t slot_bytes) ABSL_LOCKS_EXCLUDED(mu_);
  void Release(const Slot& slot) ABSL_LOCKS_EXCLUDED(mu_);
  // A slab that was announced could not be made: it is not to be used.
  void Abandon(const Slot& slot) ABSL_LOCKS_EXCLUDED(mu_);
  // Announces the slab as made: others may take slots of it.
  void Publish(uint32_t slab) ABSL_LOCKS_EXCLUDED(mu_);

  // Start-up: what the index says of a slab; a slot that a record names.
  void AddSlab(uint32_t slab, SlabBitmap bitmap) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status AddUsed(const Slot& slot) ABSL_LOCKS_EXCLUDED(mu_);

  uint32_t SlotsPerSlab(uint32_t slot_bytes) const {
    return static_cast<uint32_t>(slab_bytes_ / slot_bytes);
  }
  // Bytes of free slots whose space was not given back to the file system.
  uint64_t reusable_bytes() const ABSL_LOCKS_EXCLUDED(mu_);
  size_t slab_count() const ABSL_LOCKS_EXCLUDED(mu_);
  bool IsUsed(const Slot& slot) const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Slab {
    SlabBitmap bitmap;
    uint32_t hint = 0;     // where to look next
    uint32_t touched = 0;  // slots below this have been used
  };
  void Offer(uint32_t number, const Slab& slab) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const uint64_t slab_bytes_;
  mutable absl::Mutex mu_;  // innermost; never held over the disk
  std::map<uint32_t, Slab> slabs_ ABSL_GUARDED_BY(mu_);
  // Slabs with both free and used slots, by slot size; empty ones fit any size.
  std::map<uint32_t, std::set<uint32_t>> with_space_ ABSL_GUARDED_BY(mu_);
  std::set<uint32_t> empty_ ABSL_GUARDED_BY(mu_);
};

// Slots of at least this size give their space back to the file system when they become free.
inline constexpr uint32_t kPunchedSlotBytes = 64 * kKiB;

}  // namespace penstock::chunkserver

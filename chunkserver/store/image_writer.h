// ImageWriter makes the new content of a chunk from the old one and a change, and writes its bytes
// so that no older image is disturbed:
// - new content, or an overwrite of more than 64 KiB: to a new slot;
// - an append, where the slot has room: in place, above every byte that any image names;
// - a smaller overwrite: whole blocks as a patch, for the index (deferred_writes.h);
// - a truncation: nothing, the new image ends earlier.
// The caller holds the chunk's lock and writes the record afterwards. Thread-safe.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <optional>
#include <string>

#include "chunkserver/store/chunk_record.h"
#include "chunkserver/store/image_reader.h"
#include "chunkserver/store/interval_journal.h"
#include "chunkserver/store/slab_files.h"
#include "chunkserver/store/slot_allocator.h"

namespace penstock::chunkserver {

inline constexpr uint32_t kDeferredWriteBytes = 64 * kKiB;
inline constexpr size_t kPatchesPerImage = 32;

struct WrittenImage {
  ChunkImage image;
  Slot new_slot;                  // to be released when the record is not written
  std::optional<NewPatch> patch;  // to be written with the record
};

class ImageWriter {
 public:
  struct Parts {
    SlabFiles* slabs;
    SlotAllocator* slots;
    ChunkIndex* index;
    ImageReader* reader;
  };
  // All must outlive this.
  ImageWriter(Parts parts, uint64_t first_patch_id) : parts_(parts), next_patch_(first_patch_id) {}

  // `base`: the committed image; an empty one for an absent chunk. Not for kDelete. `may_defer`:
  // whether there is room for one more patch. DATA_LOSS: the change's data, or a byte of the base
  // that is needed, fails its checksum.
  absl::StatusOr<WrittenImage> Apply(const ChunkImage& base, const ChunkChange& change,
                                     bool may_defer);

  // Whether Apply would need no space besides a record's.
  static bool NeedsSpace(const ChunkImage& base, const ChunkChange& change);

 private:
  // `gap` zeros, then `data`, in a slot of their own. `crc`: of data, checked before.
  absl::StatusOr<WrittenImage> WriteNew(uint32_t gap, std::string_view data,
                                        std::optional<uint32_t> crc);
  absl::StatusOr<WrittenImage> Write(const ChunkImage& base, const ChunkChange& change,
                                     bool may_defer);
  absl::StatusOr<WrittenImage> Append(const ChunkImage& base, uint32_t offset,
                                      std::string_view data, std::optional<uint32_t> crc);
  absl::StatusOr<WrittenImage> Defer(const ChunkImage& base, uint32_t offset,
                                     std::string_view data);
  absl::StatusOr<WrittenImage> Copy(const ChunkImage& base, uint32_t offset, std::string_view data);
  // The first `length` stored bytes of `base`, in the same slot where that wastes little.
  absl::StatusOr<WrittenImage> Shrink(const ChunkImage& base, uint32_t length);
  absl::StatusOr<WrittenImage> Zero(const ChunkImage& base, const ChunkChange& change,
                                    bool may_defer);
  absl::StatusOr<Slot> TakeSlot(uint32_t length);

  const Parts parts_;
  std::atomic<uint64_t> next_patch_;
};

}  // namespace penstock::chunkserver

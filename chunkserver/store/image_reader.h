// ImageReader reads bytes of one content of a chunk (ChunkImage) and checks every block that it
// touches. Thread-safe; takes no lock: an image that was changed or freed meanwhile shows as
// DATA_LOSS or NOT_FOUND, and the caller looks again under the chunk's lock.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "chunkserver/store/chunk_index.h"
#include "chunkserver/store/chunk_record.h"
#include "chunkserver/store/slab_files.h"

namespace penstock::chunkserver {

class ImageReader {
 public:
  // kNo: ABORTED where the disk would have to be waited for. kDisk: nothing comes from the cache.
  enum class Wait { kYes, kNo, kDisk };

  // Both must outlive this.
  ImageReader(SlabFiles* slabs, ChunkIndex* index) : slabs_(slabs), index_(index) {}

  // Reads [offset, offset + into.size()), which ends at or below the logical length; zeros behind
  // the stored bytes. Returns the CRC of what was read. Blocks that are wanted whole are read
  // straight into `into`.
  absl::StatusOr<uint32_t> Read(const ChunkImage& image, uint32_t offset, absl::Span<char> into,
                                Wait wait = Wait::kYes);
  absl::StatusOr<std::string> ReadAll(const ChunkImage& image);
  // Reads and checks every stored byte, a piece at a time, as the disk has it.
  absl::Status Verify(const ChunkImage& image);

 private:
  // `offset` is a block's start and the end is one too, or the end of the stored bytes. `crc` grows
  // by what was read.
  absl::Status ReadBlocks(const ChunkImage& image, uint32_t offset, absl::Span<char> into,
                          Wait wait, uint32_t* crc);
  // Any part of the stored bytes, by way of a buffer of its own.
  absl::Status ReadThroughBounce(const ChunkImage& image, uint32_t offset, absl::Span<char> into,
                                 Wait wait, uint32_t* crc);
  absl::Status Overlay(const ChunkImage& image, uint32_t offset, absl::Span<char> into);

  SlabFiles* const slabs_;   // not owned
  ChunkIndex* const index_;  // not owned
};

}  // namespace penstock::chunkserver

#include "chunkserver/store/image_reader.h"

#include <algorithm>
#include <cstring>

#include "chunkserver/store/block_checksums.h"
#include "common/checksum.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

constexpr uint32_t kBounceBytes = 128 * kKiB;  // up to here one read with a copy beats three
constexpr uint32_t kVerifyBytes = 1 * kMiB;

// The end of the block that holds the byte before `end`.
uint32_t BlockEnd(const ChunkImage& image, uint32_t end) {
  return static_cast<uint32_t>(
      std::min<uint64_t>(uint64_t{BlocksOf(end)} * kBlockBytes, image.stored_length));
}

}  // namespace

absl::Status ImageReader::Overlay(const ChunkImage& image, uint32_t offset, absl::Span<char> into) {
  const uint32_t end = offset + static_cast<uint32_t>(into.size());
  for (const Patch& patch : image.patches) {
    const uint32_t from = std::max(offset, patch.offset);
    const uint32_t to = std::min(end, patch.offset + patch.length);
    if (from >= to) continue;
    ASSIGN_OR_RETURN(std::string bytes, index_->GetPatch(patch.id));
    if (bytes.size() < patch.length) return absl::DataLossError("deferred overwrite is too short");
    std::memcpy(into.data() + (from - offset), bytes.data() + (from - patch.offset), to - from);
  }
  return absl::OkStatus();
}

absl::Status ImageReader::ReadBlocks(const ChunkImage& image, uint32_t offset,
                                     absl::Span<char> into, Wait wait, uint32_t* crc) {
  if (into.empty()) return absl::OkStatus();
  const uint64_t at = image.slot.offset() + offset;
  switch (wait) {
    case Wait::kYes:
      RETURN_IF_ERROR(slabs_->Read(image.slot.slab, at, into));
      break;
    case Wait::kNo:
      RETURN_IF_ERROR(slabs_->ReadNoWait(image.slot.slab, at, into));
      break;
    case Wait::kDisk:
      RETURN_IF_ERROR(slabs_->ReadFromDisk(image.slot.slab, at, into));
      break;
  }
  RETURN_IF_ERROR(Overlay(image, offset, into));
  if (!CheckBlocks({into.data(), into.size()}, &image.block_crcs[offset / kBlockBytes], *crc,
                   crc)) {
    return absl::DataLossError("stored bytes fail their checksum");
  }
  return absl::OkStatus();
}

absl::Status ImageReader::ReadThroughBounce(const ChunkImage& image, uint32_t offset,
                                            absl::Span<char> into, Wait wait, uint32_t* crc) {
  if (into.empty()) return absl::OkStatus();
  const uint32_t start = BlockStart(offset);
  std::string bounce(BlockEnd(image, offset + static_cast<uint32_t>(into.size())) - start, '\0');
  uint32_t unused = 0;
  RETURN_IF_ERROR(
      ReadBlocks(image, start, absl::MakeSpan(bounce.data(), bounce.size()), wait, &unused));
  std::memcpy(into.data(), bounce.data() + (offset - start), into.size());
  *crc = Crc32c({into.data(), into.size()}, *crc);
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> ImageReader::Read(const ChunkImage& image, uint32_t offset,
                                           absl::Span<char> into, Wait wait) {
  uint32_t crc = 0;
  const uint32_t end = offset + static_cast<uint32_t>(into.size());
  const uint32_t stored_end = std::max(offset, std::min(end, image.stored_length));
  absl::Span<char> stored = into.subspan(0, stored_end - offset);
  const bool aligned = offset == BlockStart(offset) &&
                       (stored_end == BlockStart(stored_end) || stored_end == image.stored_length);
  if (aligned) {
    RETURN_IF_ERROR(ReadBlocks(image, offset, stored, wait, &crc));
  } else if (stored.size() <= kBounceBytes) {
    RETURN_IF_ERROR(ReadThroughBounce(image, offset, stored, wait, &crc));
  } else {
    const uint32_t head = BlocksOf(offset) * kBlockBytes - offset;
    const uint32_t tail = stored_end == image.stored_length ? 0 : stored_end % kBlockBytes;
    const uint32_t body = static_cast<uint32_t>(stored.size()) - head - tail;
    RETURN_IF_ERROR(ReadThroughBounce(image, offset, stored.subspan(0, head), wait, &crc));
    RETURN_IF_ERROR(ReadBlocks(image, offset + head, stored.subspan(head, body), wait, &crc));
    RETURN_IF_ERROR(
        ReadThroughBounce(image, stored_end - tail, stored.subspan(head + body), wait, &crc));
  }
  absl::Span<char> zeros = into.subspan(stored.size());
  if (!zeros.empty()) {
    std::memset(zeros.data(), 0, zeros.size());
    crc = Crc32c({zeros.data(), zeros.size()}, crc);
  }
  return crc;
}

absl::StatusOr<std::string> ImageReader::ReadAll(const ChunkImage& image) {
  std::string bytes(image.logical_length, '\0');
  RETURN_IF_ERROR(Read(image, 0, absl::MakeSpan(bytes.data(), bytes.size())).status());
  return bytes;
}

absl::Status ImageReader::Verify(const ChunkImage& image) {
  std::string buffer(std::min(kVerifyBytes, image.stored_length), '\0');
  for (uint32_t offset = 0; offset < image.stored_length; offset += kVerifyBytes) {
    const uint32_t length = std::min(kVerifyBytes, image.stored_length - offset);
    uint32_t unused = 0;
    RETURN_IF_ERROR(
        ReadBlocks(image, offset, absl::MakeSpan(buffer.data(), length), Wait::kDisk, &unused));
  }
  return absl::OkStatus();
}

}  // namespace penstock::chunkserver

#include "chunkserver/store/image_writer.h"

#include <absl/cleanup/cleanup.h>

#include <algorithm>
#include <cstring>

#include "chunkserver/store/block_checksums.h"
#include "common/checksum.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

std::string_view View(absl::Span<const char> data) { return {data.data(), data.size()}; }

absl::Status WrongData() { return absl::DataLossError("data fails its checksum"); }

uint32_t End(uint32_t offset, std::string_view data) {
  return offset + static_cast<uint32_t>(data.size());
}

// Only bytes above every image of the slot may be written in place.
bool MayAppend(const ChunkImage& base, uint32_t end) {
  return base.slot.valid() && base.stored_length == base.high_water && end <= base.slot.bytes;
}

}  // namespace

bool ImageWriter::NeedsSpace(const ChunkImage& base, const ChunkChange& change) {
  switch (change.kind) {
    case ChangeKind::kDelete:
      return false;
    case ChangeKind::kTruncate:
      return false;  // a copy to a smaller slot is made only to give space back
    case ChangeKind::kZero:
      return uint64_t{change.offset} + change.length < base.stored_length;
    case ChangeKind::kWrite:
    case ChangeKind::kReplace:
      return !change.data.empty();
  }
  return true;
}

absl::StatusOr<WrittenImage> ImageWriter::Apply(const ChunkImage& base, const ChunkChange& change,
                                                bool may_defer) {
  switch (change.kind) {
    case ChangeKind::kWrite:
      return Write(base, change, may_defer);
    case ChangeKind::kReplace:
      return WriteNew(0, View(change.data), change.crc32c);
    case ChangeKind::kZero:
      return Zero(base, change, may_defer);
    case ChangeKind::kTruncate: {
      WrittenImage written{base};
      if (change.offset < base.stored_length) {
        ASSIGN_OR_RETURN(written, Shrink(base, change.offset));
      }
      written.image.logical_length = change.offset;
      return written;
    }
    case ChangeKind::kDelete:
      break;
  }
  return absl::InvalidArgumentError("unknown change of a chunk");
}

absl::StatusOr<WrittenImage> ImageWriter::Write(const ChunkImage& base, const ChunkChange& change,
                                                bool may_defer) {
  const std::string_view data = View(change.data);
  const uint32_t offset = change.offset, end = End(offset, data);
  const uint32_t stored = base.stored_length;
  const uint32_t overlap = offset < stored ? std::min(end, stored) - offset : 0;
  absl::StatusOr<WrittenImage> written;
  if (data.empty()) {
    if (change.crc32c != 0) return WrongData();
    written = WrittenImage{base};
  } else if (stored == 0 || (offset == 0 && end >= stored)) {
    written = WriteNew(offset, data, change.crc32c);
  } else if (offset >= stored && MayAppend(base, end)) {
    written = Append(base, offset, data, change.crc32c);
  } else {
    if (Crc32c(data) != change.crc32c) return WrongData();
    const bool defer = may_defer && overlap > 0 && overlap <= kDeferredWriteBytes &&
                       base.patches.size() < kPatchesPerImage &&
                       (end <= stored || MayAppend(base, end));
    written = defer ? Defer(base, offset, data) : Copy(base, offset, data);
  }
  if (written.ok() && !data.empty()) {
    written->image.logical_length = std::max(base.logical_length, end);
  }
  return written;
}

absl::StatusOr<Slot> ImageWriter::TakeSlot(uint32_t length) {
  const SlotAllocator::Taken taken = parts_.slots->Take(SlotBytesFor(length));
  if (!taken.new_slab) return taken.slot;
  // The slab's size class is in the index before any record that names one of its slots.
  absl::Status made = parts_.slabs->Create(taken.slot.slab, /*blank=*/true);
  if (made.ok()) {
    IndexBatch batch;
    batch.PutSlab(taken.slot.slab,
                  SlabBitmap(taken.slot.bytes, parts_.slots->SlotsPerSlab(taken.slot.bytes)));
    made = parts_.index->Write(batch, ChunkIndex::Sync::kNo);
  }
  if (!made.ok()) {
    parts_.slots->Abandon(taken.slot);
    return Annotate(made, "new slab");
  }
  parts_.slots->Publish(taken.slot.slab);
  return taken.slot;
}

absl::StatusOr<WrittenImage> ImageWriter::WriteNew(uint32_t gap, std::string_view data,
                                                   std::optional<uint32_t> crc) {
  WrittenImage written;
  ChunkImage& image = written.image;
  ExtendChecksumsByZeros(image.block_crcs, 0, gap);
  const uint32_t data_crc = ExtendChecksums(image.block_crcs, gap, data);
  if (crc && data_crc != *crc) return WrongData();
  image.stored_length = image.logical_length = image.high_water = End(gap, data);
  if (image.stored_length == 0) return written;
  ASSIGN_OR_RETURN(image.slot, TakeSlot(image.stored_length));
  written.new_slot = image.slot;
  // Nothing names the slot until the record is written.
  absl::Cleanup release = [&] { parts_.slots->Release(written.new_slot); };
  RETURN_IF_ERROR(parts_.slabs->WriteZeros(image.slot.slab, image.slot.offset(), gap));
  RETURN_IF_ERROR(parts_.slabs->Write(image.slot.slab, image.slot.offset() + gap, data));
  std::move(release).Cancel();
  return written;
}

absl::StatusOr<WrittenImage> ImageWriter::Append(const ChunkImage& base, uint32_t offset,
                                                 std::string_view data,
                                                 std::optional<uint32_t> crc) {
  WrittenImage written{base};
  ChunkImage& image = written.image;
  const uint32_t gap = offset - base.stored_length;
  ExtendChecksumsByZeros(image.block_crcs, base.stored_length, gap);
  const uint32_t data_crc = ExtendChecksums(image.block_crcs, offset, data);
  if (crc && data_crc != *crc) return WrongData();
  const uint64_t at = image.slot.offset();
  RETURN_IF_ERROR(parts_.slabs->WriteZeros(image.slot.slab, at + base.stored_length, gap));
  RETURN_IF_ERROR(parts_.slabs->Write(image.slot.slab, at + offset, data));
  image.stored_length = image.high_water = End(offset, data);
  return written;
}

absl::StatusOr<WrittenImage> ImageWriter::Defer(const ChunkImage& base, uint32_t offset,
                                                std::string_view data) {
  // Whole blocks, so that each block's checksum is known without the slot's bytes.
  const uint32_t overlap_end = std::min(End(offset, data), base.stored_length);
  const uint32_t start = BlockStart(offset);
  const uint32_t end = static_cast<uint32_t>(
      std::min<uint64_t>(uint64_t{BlocksOf(overlap_end)} * kBlockBytes, base.stored_length));
  std::string blocks(end - start, '\0');
  if (start != offset || end != overlap_end) {
    RETURN_IF_ERROR(
        parts_.reader->Read(base, start, absl::MakeSpan(blocks.data(), blocks.size())).status());
  }
  std::memcpy(blocks.data() + (offset - start), data.data(), overlap_end - offset);

  WrittenImage written{base};
  ChunkImage& image = written.image;
  std::vector<uint32_t> crcs;
  ExtendChecksums(crcs, 0, blocks);
  std::copy(crcs.begin(), crcs.end(), image.block_crcs.begin() + start / kBlockBytes);
  std::erase_if(image.patches, [&](const Patch& p) {  // covered by the new one
    return p.offset >= start && p.offset + p.length <= end;
  });
  const uint64_t id = next_patch_.fetch_add(1);
  image.patches.push_back({id, start, end - start});
  if (End(offset, data) > base.stored_length) {
    const std::string_view rest = data.substr(base.stored_length - offset);
    ASSIGN_OR_RETURN(written, Append(image, base.stored_length, rest, std::nullopt));
  }
  written.patch = NewPatch{id, std::move(blocks)};
  return written;
}

absl::StatusOr<WrittenImage> ImageWriter::Copy(const ChunkImage& base, uint32_t offset,
                                               std::string_view data) {
  std::string bytes(std::max(base.stored_length, End(offset, data)), '\0');
  RETURN_IF_ERROR(
      parts_.reader->Read(base, 0, absl::MakeSpan(bytes.data(), base.stored_length)).status());
  std::memcpy(bytes.data() + offset, data.data(), data.size());
  return WriteNew(0, bytes, std::nullopt);
}

absl::StatusOr<WrittenImage> ImageWriter::Shrink(const ChunkImage& base, uint32_t length) {
  if (length == 0) return WrittenImage{};
  if (SlotBytesFor(length) <= base.slot.bytes / 4) {
    std::string bytes(length, '\0');
    RETURN_IF_ERROR(
        parts_.reader->Read(base, 0, absl::MakeSpan(bytes.data(), bytes.size())).status());
    return WriteNew(0, bytes, std::nullopt);
  }
  WrittenImage written{base};
  ChunkImage& image = written.image;
  image.stored_length = length;
  image.block_crcs.resize(BlocksOf(length));
  if (const uint32_t rest = length % kBlockBytes; rest != 0) {
    std::string last(rest, '\0');
    ASSIGN_OR_RETURN(image.block_crcs.back(),
                     parts_.reader->Read(base, length - rest, absl::MakeSpan(last.data(), rest)));
  }
  std::erase_if(image.patches, [&](const Patch& p) { return p.offset >= length; });
  for (Patch& patch : image.patches) patch.length = std::min(patch.length, length - patch.offset);
  return written;
}

absl::StatusOr<WrittenImage> ImageWriter::Zero(const ChunkImage& base, const ChunkChange& change,
                                               bool may_defer) {
  const uint64_t end =
      std::min<uint64_t>(uint64_t{change.offset} + change.length, base.logical_length);
  absl::StatusOr<WrittenImage> written = WrittenImage{base};
  if (change.offset < base.stored_length && change.length > 0) {
    if (end >= base.stored_length) {
      written = Shrink(base, change.offset);  // zeros behind the stored bytes need no bytes
    } else {
      const std::string zeros(end - change.offset, '\0');
      written =
          may_defer && zeros.size() <= kDeferredWriteBytes && base.patches.size() < kPatchesPerImage
              ? Defer(base, change.offset, zeros)
              : Copy(base, change.offset, zeros);
    }
  }
  if (written.ok()) written->image.logical_length = base.logical_length;
  return written;
}

}  // namespace penstock::chunkserver

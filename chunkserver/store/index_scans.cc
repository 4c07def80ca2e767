// Walks through the chunk index.
#include <algorithm>

#include "chunkserver/store/chunk_index.h"
#include "chunkserver/store/index_keys.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

std::string_view AsView(const rocksdb::Slice& bytes) { return {bytes.data(), bytes.size()}; }

}  // namespace

absl::Status ChunkIndex::VisitRange(const std::string& start, const std::string& end,
                                    Visitor<std::string_view, std::string_view> visit) {
  const rocksdb::Slice bound = end;
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &bound;
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
  for (it->Seek(start); it->Valid(); it->Next()) {
    ASSIGN_OR_RETURN(bool more, visit(AsView(it->key()), AsView(it->value())));
    if (!more) return absl::OkStatus();
  }
  return Note(it->status(), "scan chunk index");
}

absl::Status ChunkIndex::VisitSnapshot(absl::Span<const char> prefixes,
                                       Visitor<std::string_view, std::string_view> visit) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  // An iterator sees one state, wherever it is sent.
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
  for (char prefix : prefixes) {
    for (it->Seek(rocksdb::Slice(&prefix, 1)); it->Valid() && it->key()[0] == prefix; it->Next()) {
      ASSIGN_OR_RETURN(bool more, visit(AsView(it->key()), AsView(it->value())));
      if (!more) return absl::OkStatus();
    }
    RETURN_IF_ERROR(Note(it->status(), "scan chunk index"));
  }
  return absl::OkStatus();
}

absl::Status ChunkIndex::VisitGroup(uint32_t group, uint32_t group_count,
                                    std::optional<ChunkKey> start_after,
                                    Visitor<const ChunkKey&, const ChunkRecord&> visit) {
  // The key that follows directly is the same with a zero byte.
  const std::string start =
      start_after ? ChunkKeyIn(*start_after) + '\0' : GroupStart(group, group_count);
  return VisitRange(std::max(start, GroupStart(group, group_count)), GroupEnd(group, group_count),
                    [&](std::string_view key, std::string_view value) -> absl::StatusOr<bool> {
                      const auto chunk = DecodeChunkKey(key.substr(1));
                      if (!chunk) return absl::DataLossError("chunk index: damaged key");
                      ASSIGN_OR_RETURN(ChunkRecord record, DecodeRecord(value));
                      return visit(*chunk, record);
                    });
}

absl::Status ChunkIndex::VisitUndo(uint64_t first, uint64_t last,
                                   Visitor<uint64_t, const ChunkKey&, std::string_view> visit) {
  const std::string end =
      last == UINT64_MAX ? std::string(1, kUndoPrefix + 1) : UndoStart(last + 1);
  return VisitRange(UndoStart(first), end,
                    [&](std::string_view key, std::string_view value) -> absl::StatusOr<bool> {
                      const auto decoded = DecodeUndoKey(key);
                      if (!decoded) return absl::DataLossError("chunk index: damaged undo key");
                      return visit(decoded->first, decoded->second, value);
                    });
}

absl::Status ChunkIndex::VisitDamaged(std::optional<ChunkKey> start_after,
                                      Visitor<const ChunkKey&> visit) {
  const std::string start =
      start_after ? DamagedKey(*start_after) + '\0' : std::string(1, kDamagedPrefix);
  return VisitRange(start, std::string(1, kDamagedPrefix + 1),
                    [&](std::string_view key, std::string_view) -> absl::StatusOr<bool> {
                      const auto chunk = DecodeChunkKey(key.substr(1));
                      if (!chunk) return absl::DataLossError("chunk index: damaged key");
                      return visit(*chunk);
                    });
}

absl::Status ChunkIndex::VisitPatches(Visitor<uint64_t, const ChunkKey&, size_t> visit) {
  return VisitRange(std::string(1, kPatchPrefix), std::string(1, kPatchPrefix + 1),
                    [&](std::string_view key, std::string_view value) -> absl::StatusOr<bool> {
                      const auto id = DecodePatchKey(key);
                      const auto chunk = DecodeChunkKey(value.substr(0, 16));
                      if (!id || !chunk) return absl::DataLossError("chunk index: damaged patch");
                      return visit(*id, *chunk, value.size() - 16);
                    });
}

absl::Status ChunkIndex::VisitSlabs(Visitor<uint32_t, SlabBitmap> visit) {
  return VisitRange(std::string(1, kSlabPrefix), std::string(1, kSlabPrefix + 1),
                    [&](std::string_view key, std::string_view value) -> absl::StatusOr<bool> {
                      const auto slab = DecodeSlabKey(key);
                      if (!slab) return absl::DataLossError("chunk index: damaged slab key");
                      ASSIGN_OR_RETURN(SlabBitmap bitmap, SlabBitmap::Decode(value));
                      return visit(*slab, std::move(bitmap));
                    });
}

}  // namespace penstock::chunkserver

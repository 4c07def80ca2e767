// Keys of the chunk index. One key space, told apart by the first byte, so that a prefix of the
// write-ahead log is always a consistent state (docs/formats/chunk_store.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/ids.h"

namespace penstock::chunkserver {

inline constexpr char kChunkPrefix = 'c';    // chunk key -> ChunkRecord
inline constexpr char kUndoPrefix = 'u';     // interval, chunk key -> record before it, or nothing
inline constexpr char kPatchPrefix = 'p';    // patch id -> chunk key, bytes of a deferred overwrite
inline constexpr char kSlabPrefix = 's';     // slab -> SlabBitmap
inline constexpr char kDamagedPrefix = 'd';  // chunk key of a quarantined chunk -> nothing
inline constexpr char kStateKey[] = "m";     // StoreState
inline constexpr char kSequenceKey[] = "q";  // sequences below this may have been used

// Bit-reversed position, content, index, big-endian: 16 bytes. A group is one key range.
std::string EncodeChunkKey(const ChunkKey& key);
std::optional<ChunkKey> DecodeChunkKey(std::string_view bytes);

std::string ChunkKeyIn(const ChunkKey& key);
std::string DamagedKey(const ChunkKey& key);
std::string UndoKey(uint64_t interval, const ChunkKey& key);
std::string UndoStart(uint64_t interval);  // before every undo key of that interval
std::optional<std::pair<uint64_t, ChunkKey>> DecodeUndoKey(std::string_view key);
std::string PatchKey(uint64_t id);
std::optional<uint64_t> DecodePatchKey(std::string_view key);
std::string SlabKey(uint32_t slab);
std::optional<uint32_t> DecodeSlabKey(std::string_view key);

// First key of a group's range, and the first behind it (of the chunk prefix, included).
std::string GroupStart(uint32_t group, uint32_t group_count);
std::string GroupEnd(uint32_t group, uint32_t group_count);

}  // namespace penstock::chunkserver

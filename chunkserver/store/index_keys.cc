#include "chunkserver/store/index_keys.h"

#include <bit>

#include "common/placement.h"

namespace penstock::chunkserver {
namespace {

template <typename T>
void PutBig(std::string& out, T value) {
  for (int shift = 8 * (sizeof(T) - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift));
  }
}

template <typename T>
T GetBig(std::string_view bytes) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value = (value << 8) | static_cast<uint8_t>(bytes[i]);
  return value;
}

}  // namespace

std::string EncodeChunkKey(const ChunkKey& key) {
  std::string out;
  PutBig(out, ReverseBits(key.position));
  PutBig(out, key.content.value());
  PutBig(out, key.index);
  return out;
}

std::optional<ChunkKey> DecodeChunkKey(std::string_view bytes) {
  if (bytes.size() != 16) return std::nullopt;
  return ChunkKey{ReverseBits(GetBig<uint32_t>(bytes)),
                  ContentId(GetBig<uint64_t>(bytes.substr(4))), GetBig<uint32_t>(bytes.substr(12))};
}

std::string ChunkKeyIn(const ChunkKey& key) { return kChunkPrefix + EncodeChunkKey(key); }

std::string DamagedKey(const ChunkKey& key) { return kDamagedPrefix + EncodeChunkKey(key); }

std::string UndoStart(uint64_t interval) {
  std::string out(1, kUndoPrefix);
  PutBig(out, interval);
  return out;
}

std::string UndoKey(uint64_t interval, const ChunkKey& key) {
  return UndoStart(interval) + EncodeChunkKey(key);
}

std::optional<std::pair<uint64_t, ChunkKey>> DecodeUndoKey(std::string_view key) {
  if (key.size() != 25 || key[0] != kUndoPrefix) return std::nullopt;
  return std::pair(GetBig<uint64_t>(key.substr(1)), *DecodeChunkKey(key.substr(9)));
}

std::string PatchKey(uint64_t id) {
  std::string out(1, kPatchPrefix);
  PutBig(out, id);
  return out;
}

std::optional<uint64_t> DecodePatchKey(std::string_view key) {
  if (key.size() != 9 || key[0] != kPatchPrefix) return std::nullopt;
  return GetBig<uint64_t>(key.substr(1));
}

std::string SlabKey(uint32_t slab) {
  std::string out(1, kSlabPrefix);
  PutBig(out, slab);
  return out;
}

std::optional<uint32_t> DecodeSlabKey(std::string_view key) {
  if (key.size() != 5 || key[0] != kSlabPrefix) return std::nullopt;
  return GetBig<uint32_t>(key.substr(1));
}

std::string GroupStart(uint32_t group, uint32_t) {
  std::string out(1, kChunkPrefix);
  PutBig(out, ReverseBits(group));
  return out;
}

std::string GroupEnd(uint32_t group, uint32_t group_count) {
  // A group's positions end with its number, so their reversals begin with it.
  const int bits = std::countr_zero(group_count);
  const uint64_t end = uint64_t{ReverseBits(group)} + (uint64_t{1} << (32 - bits));
  if (end > UINT32_MAX) return std::string(1, kChunkPrefix + 1);
  std::string out(1, kChunkPrefix);
  PutBig(out, static_cast<uint32_t>(end));
  return out;
}

}  // namespace penstock::chunkserver

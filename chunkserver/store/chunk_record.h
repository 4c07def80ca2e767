// ChunkRecord is what the index keeps of one chunk; docs/formats/chunk_store.md has its bytes.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chunkserver/store/chunk_store.h"
#include "chunkserver/store/slot.h"

namespace penstock::chunkserver {

inline constexpr uint8_t kRecordFormat = 1;
inline constexpr uint8_t kEncodingRaw = 0;
inline constexpr size_t kChannelsKept = 8;

// A deferred overwrite: bytes that lie in the index and stand for those of the slot until they have
// been written there and synced.
struct Patch {
  uint64_t id = 0;
  uint32_t offset = 0;  // in the chunk
  uint32_t length = 0;
  friend bool operator==(const Patch&, const Patch&) = default;
};

// One content of a chunk: bytes [0, stored_length) lie in the slot, patched by `patches` in order;
// [stored_length, logical_length) are zeros.
struct ChunkImage {
  Slot slot;  // none while stored_length is 0
  uint32_t stored_length = 0;
  uint32_t logical_length = 0;
  // Bytes of the slot below this may belong to this or an older image; only those above may be
  // written in place.
  uint32_t high_water = 0;
  uint8_t encoding = kEncodingRaw;
  bool quarantined = false;          // failed its checksum
  std::vector<uint32_t> block_crcs;  // CRC32C; the last covers only bytes below stored_length
  std::vector<Patch> patches;
  friend bool operator==(const ChunkImage&, const ChunkImage&) = default;
};

struct PendingChange {
  ChunkVersion version;
  ChangeKind kind = ChangeKind::kWrite;
  WriteStamp stamp;
  ChunkImage image;                                                   // unused by a deletion
  std::optional<std::vector<ChannelRecord>> channels = std::nullopt;  // instead of the record's
  bool deletes() const { return kind == ChangeKind::kDelete; }
};

struct ChunkRecord {
  uint64_t interval = 0;  // between barriers, in which it was written
  ChunkVersion version;   // committed; not valid: nothing is committed
  ChunkImage image;
  std::vector<ChannelRecord> channels;  // of committed versions, newest last
  std::optional<PendingChange> pending;
};

std::string EncodeRecord(const ChunkRecord& record);
// DATA_LOSS: damaged. FAILED_PRECONDITION: a format or an encoding that this program does not know.
absl::StatusOr<ChunkRecord> DecodeRecord(std::string_view bytes);

ChunkInfo InfoOf(const ChunkRecord& record);
// Its committed version is quarantined. Null: no record.
bool IsDamaged(const ChunkRecord* record);

// The pending version becomes the committed one; the record then has nothing pending. For a
// deletion the caller removes the record instead.
void PromotePending(ChunkRecord& record);
// The newest of each channel, at most kChannelsKept.
std::vector<ChannelRecord> KeptChannels(const std::vector<ChannelRecord>& channels);
// Forgets the pending version.
void DropPending(ChunkRecord& record);

// Of the committed and the pending version. Null: none.
std::vector<Slot> SlotsOf(const ChunkRecord* record);

// What a change of a record does to the resources that records share. Null: no record.
struct ResourceChange {
  std::vector<Slot> allocated;
  std::vector<Slot> freed;
  std::vector<uint64_t> freed_patches;
  int64_t stored_bytes = 0;
  int64_t chunks = 0;
  int64_t damaged = 0;  // chunks in quarantine
  void Add(ResourceChange&& other);
};
ResourceChange ChangeBetween(const ChunkRecord* before, const ChunkRecord* after);

}  // namespace penstock::chunkserver

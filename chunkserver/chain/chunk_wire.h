// Between proto/chunk.proto and the types of this room.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "chunkserver/store/chunk_store.h"
#include "proto/chunk.pb.h"

namespace penstock::chunkserver {

wire::ChunkKey ToWire(const ChunkKey& key);
ChunkKey FromWire(const wire::ChunkKey& key);
wire::ChunkVersion ToWire(const ChunkVersion& version);
ChunkVersion FromWire(const wire::ChunkVersion& version);

wire::ChunkChannel ToWire(const ChannelRecord& channel);
ChannelRecord FromWire(const wire::ChunkChannel& channel);
void StampToWire(const WriteStamp& stamp, wire::ChunkWrite* write);
// Change, offset, length, checksum and stamp; the payload bytes are sent apart.
void ChangeToWire(const ChunkChange& change, wire::ChunkWrite* write);
// `data` is the item's part of the payload. INVALID_ARGUMENT: no such change.
absl::StatusOr<ChunkChange> ChangeFromWire(const wire::ChunkWrite& write,
                                           absl::Span<const char> data);
// Payload bytes that belong to the item.
inline uint64_t PayloadBytes(const wire::ChunkWrite& write) {
  return write.change() == wire::CHANGE_WRITE || write.change() == wire::CHANGE_REPLACE
             ? write.length()
             : 0;
}

void SetStatus(const absl::Status& status, wire::ChunkResult* result);
absl::Status StatusOf(const wire::ChunkResult& result);

}  // namespace penstock::chunkserver

// ChunkApi is the chunkservers as the rest of the client sees them: bytes of a layout, wherever
// their copies lie. The implementation finds members, checks and retries (ChunkClient); a test puts
// an in-memory one here.
#pragma once

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "client/op_context.h"
#include "common/ids.h"
#include "common/placement.h"
#include "proto/chunk.pb.h"

namespace penstock::client {

struct ChunkPut {
  uint32_t index = 0;
  uint32_t offset = 0;
  std::string_view data;
  WriteStamp stamp;
};

// A change without payload: CHANGE_TRUNCATE, CHANGE_ZERO or CHANGE_DELETE.
struct ChunkCut {
  uint32_t index = 0;
  wire::ChunkChange change = wire::CHANGE_NONE;
  uint32_t offset = 0;
  uint32_t length = 0;
  WriteStamp stamp;
};

struct StoredChunk {
  bool exists = false;
  uint32_t logical_length = 0;
  ChunkVersion version;
};

// What a change did, on every in-sync member.
struct ChunkChanged {
  ChunkVersion version;
  int64_t length_delta = 0;  // bytes more (or fewer) stored; a repeat may say 0
};

struct ReadOutcome {
  bool holes = false;  // some bytes are zeros because every reachable in-sync copy lacks them
};

using IndexedVersion = std::pair<uint32_t, ChunkVersion>;

// Thread-safe. Every call ends after the client's I/O timeout with EIO, or with EINTR once
// `op.interrupt` fires.
class ChunkApi {
 public:
  virtual ~ChunkApi() = default;
  // Fills all of `into`. Whatever no copy has is zeros (ReadOutcome::holes).
  virtual absl::StatusOr<ReadOutcome> Read(const FileLayout& layout, uint64_t offset,
                                           absl::Span<char> into, const OpContext& op) = 0;
  // OK: on every in-sync member.
  virtual absl::StatusOr<ChunkChanged> Write(const FileLayout& layout, const ChunkPut& put,
                                             const OpContext& op) = 0;
  // All of `cuts`, in any order; what they did in the order of `cuts`.
  virtual absl::StatusOr<std::vector<ChunkChanged>> Change(const FileLayout& layout,
                                                           absl::Span<const ChunkCut> cuts,
                                                           const OpContext& op) = 0;
  // OK: at least these versions are on the disks of every in-sync member.
  virtual absl::Status Sync(const FileLayout& layout, absl::Span<const IndexedVersion> versions,
                            const OpContext& op) = 0;
  // What the heads hold of chunks [first, first + count).
  virtual absl::StatusOr<std::vector<StoredChunk>> Stat(const FileLayout& layout, uint32_t first,
                                                        uint32_t count, const OpContext& op) = 0;
};

}  // namespace penstock::client

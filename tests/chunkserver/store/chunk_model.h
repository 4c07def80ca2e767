// ChunkModel is what a chunk store must look like after the same changes, kept in memory; with
// random changes that lean on block and slot edges.
#pragma once

#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "chunkserver/store/chunk_store.h"

namespace penstock::chunkserver {

struct ModelChunk {
  ChunkVersion version;
  std::string content;  // of the committed version
  struct Pending {
    ChunkVersion version;
    bool deletes = false;
    std::string content;
    friend bool operator==(const Pending&, const Pending&) = default;
  };
  std::optional<Pending> pending;
  bool exists() const { return version.valid(); }
  friend bool operator==(const ModelChunk&, const ModelChunk&) = default;
};

// A change with its own copy of the data.
struct ModelChange {
  ChangeKind kind = ChangeKind::kWrite;
  uint32_t offset = 0;
  uint32_t length = 0;
  std::string data;
};

// What the chunk's content becomes.
std::string Applied(const ModelChunk& chunk, const ModelChange& change);
ModelChange RandomChange(std::mt19937_64& random, const ModelChunk& chunk, uint32_t max_bytes);

}  // namespace penstock::chunkserver

// The chunkservers in memory, as ChunkApi: contents by chunk, with failures on demand. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "client/chunk_api.h"
#include "client/chunk_pieces.h"
#include "common/status.h"

namespace penstock::client {

class FakeChunks : public ChunkApi {
 public:
  absl::StatusOr<ReadOutcome> Read(const FileLayout& layout, uint64_t offset, absl::Span<char> into,
                                   const OpContext&) override {
    absl::MutexLock lock(&mu);
    ++reads;
    ReadOutcome outcome;
    for (const ChunkPiece& p : SplitByChunk(layout.chunk_size_bytes(), offset, into.size())) {
      auto it = chunks.find({layout.content.value(), p.index});
      const std::string& bytes = it == chunks.end() ? kNothing : it->second;
      const size_t have =
          p.offset < bytes.size() ? std::min<size_t>(p.length, bytes.size() - p.offset) : 0;
      std::memcpy(into.data() + p.at, bytes.data() + (have > 0 ? p.offset : 0), have);
      std::memset(into.data() + p.at + have, 0, p.length - have);
      outcome.holes = outcome.holes || have < p.length;
    }
    return outcome;
  }

  absl::StatusOr<ChunkChanged> Write(const FileLayout& layout, const ChunkPut& put,
                                     const OpContext&) override {
    absl::MutexLock lock(&mu);
    mu.Await(absl::Condition(&open));
    if (!write_error.ok() && put.index >= failing_from) return write_error;
    ++writes;
    sizes.push_back(put.data.size());
    stamps.push_back(put.stamp);
    std::string& bytes = chunks[{layout.content.value(), put.index}];
    const auto before = static_cast<int64_t>(bytes.size());
    if (bytes.size() < put.offset + put.data.size()) {
      bytes.resize(put.offset + put.data.size(), '\0');
    }
    bytes.replace(put.offset, put.data.size(), put.data);
    return ChunkChanged{{1, ++sequence}, static_cast<int64_t>(bytes.size()) - before};
  }

  absl::StatusOr<std::vector<ChunkChanged>> Change(const FileLayout& layout,
                                                   absl::Span<const ChunkCut> cuts,
                                                   const OpContext&) override {
    absl::MutexLock lock(&mu);
    if (!change_error.ok()) return change_error;
    std::vector<ChunkChanged> changed;
    for (const ChunkCut& cut : cuts) {
      const std::pair<uint64_t, uint32_t> key{layout.content.value(), cut.index};
      const auto before = static_cast<int64_t>(chunks[key].size());
      changed.push_back({{1, ++sequence}, -before});
      if (cut.change == wire::CHANGE_DELETE) {
        chunks.erase(key);
        continue;
      }
      std::string& bytes = chunks[key];
      if (cut.change == wire::CHANGE_TRUNCATE) bytes.resize(cut.offset, '\0');
      if (cut.change == wire::CHANGE_ZERO) {
        for (size_t i = cut.offset; i < cut.offset + cut.length && i < bytes.size(); ++i) {
          bytes[i] = '\0';
        }
      }
      changed.back().length_delta += static_cast<int64_t>(bytes.size());
    }
    return changed;
  }

  absl::Status Sync(const FileLayout&, absl::Span<const IndexedVersion> versions,
                    const OpContext&) override {
    absl::MutexLock lock(&mu);
    ++syncs;
    synced += versions.size();
    return sync_error;
  }

  absl::StatusOr<std::vector<StoredChunk>> Stat(const FileLayout& layout, uint32_t first,
                                                uint32_t count, const OpContext&) override {
    absl::MutexLock lock(&mu);
    std::vector<StoredChunk> all(count);
    for (uint32_t i = 0; i < count; ++i) {
      auto it = chunks.find({layout.content.value(), first + i});
      if (it == chunks.end()) continue;
      all[i] = {true, static_cast<uint32_t>(it->second.size()), {1, 1}};
    }
    return all;
  }

  void SetOpen(bool value) {
    absl::MutexLock lock(&mu);
    open = value;
  }
  // Of this chunk and those behind it.
  void FailWrites(absl::Status error, uint32_t from = 0) {
    absl::MutexLock lock(&mu);
    write_error = std::move(error);
    failing_from = from;
  }

  void FailChanges(absl::Status error) {
    absl::MutexLock lock(&mu);
    change_error = std::move(error);
  }
  int written() {
    absl::MutexLock lock(&mu);
    return writes;
  }

  absl::Mutex mu;
  std::map<std::pair<uint64_t, uint32_t>, std::string> chunks;
  bool open = true;  // writes wait while not
  absl::Status write_error;
  uint32_t failing_from = 0;
  absl::Status change_error;
  absl::Status sync_error;
  int reads = 0, writes = 0, syncs = 0;
  size_t synced = 0;
  uint64_t sequence = 0;
  std::vector<size_t> sizes;
  std::vector<WriteStamp> stamps;

 private:
  inline static const std::string kNothing;
};

}  // namespace penstock::client

// SimReplica keeps chunks in memory as ChunkStore keeps them on disk. Instead of bytes a chunk has
// the list of the writes that made it, so that a write applied twice, lost or out of order shows.
#pragma once

#include <absl/status/status.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "chunkserver/store/chunk_store.h"
#include "common/ids.h"
#include "common/status.h"

namespace penstock::chunkserver {

using SimBytes = std::vector<int>;  // numbers of writes, oldest first

struct SimChange {
  ChangeKind kind = ChangeKind::kWrite;
  int write = 0;   // kWrite appends it
  SimBytes whole;  // kReplace
  WriteStamp stamp;
  std::optional<std::vector<ChannelRecord>> channels;  // kReplace
};

class SimReplica {
 public:
  struct Chunk {
    ChunkInfo info;
    SimBytes bytes;
    SimBytes pending_bytes;
    int pending_write = 0;  // 0: a deletion or a resend
    std::optional<std::vector<ChannelRecord>> pending_channels;
    ChunkVersion last;  // last commit, deletions included; the simulator's, not the member's
  };

  const Chunk& Get(const ChunkKey& key) { return chunks_[key]; }

  absl::Status Stage(const ChunkKey& key, ChunkVersion version, const SimChange& change) {
    Chunk& chunk = chunks_[key];
    if (chunk.info.pending) return absl::FailedPreconditionError("another version is pending");
    chunk.info.pending = version;
    chunk.info.pending_kind = change.kind;
    chunk.info.pending_deletes = change.kind == ChangeKind::kDelete;
    chunk.pending_write = change.kind == ChangeKind::kWrite ? change.write : 0;
    chunk.pending_bytes = change.kind == ChangeKind::kReplace ? change.whole : chunk.bytes;
    if (change.kind == ChangeKind::kDelete) chunk.pending_bytes.clear();
    if (change.kind == ChangeKind::kWrite) chunk.pending_bytes.push_back(change.write);
    chunk.info.channels.push_back({change.stamp, version});
    chunk.pending_channels = change.channels;
    return absl::OkStatus();
  }

  absl::Status Commit(const ChunkKey& key, ChunkVersion version) {
    Chunk& chunk = chunks_[key];
    if (chunk.info.committed == version && version.valid()) return absl::OkStatus();
    if (chunk.info.pending != version) return absl::FailedPreconditionError("not pending");
    const bool deletes = chunk.info.pending_deletes;
    chunk.bytes = chunk.pending_bytes;
    chunk.last = version;
    chunk.info.pending.reset();
    chunk.info.pending_deletes = false;
    chunk.info.committed = deletes ? ChunkVersion{} : version;
    if (chunk.pending_channels) {
      const ChannelRecord newest = chunk.info.channels.back();
      chunk.info.channels = *std::exchange(chunk.pending_channels, std::nullopt);
      chunk.info.channels.push_back(newest);
    }
    if (deletes) chunk.info.channels.clear();
    KeepNewestOfEachChannel(chunk.info.channels);
    return absl::OkStatus();
  }

  absl::Status Discard(const ChunkKey& key, ChunkVersion version) {
    Chunk& chunk = chunks_[key];
    if (chunk.info.pending != version) return absl::OkStatus();
    chunk.info.pending.reset();
    chunk.info.pending_deletes = false;
    std::erase_if(chunk.info.channels,
                  [&](const ChannelRecord& record) { return record.version == version; });
    return absl::OkStatus();
  }

  // What another member has committed, in place of whatever is here.
  void Adopt(const ChunkKey& key, const Chunk& other) {
    Chunk chunk = other;
    chunk.info.pending.reset();
    chunk.info.pending_deletes = false;
    chunk.pending_channels.reset();
    std::erase_if(chunk.info.channels, [&](const ChannelRecord& record) {
      return record.version > chunk.info.committed;
    });
    chunks_[key] = chunk;
    RaiseSequence(chunk.last.sequence);
  }
  // Absent, as a member where it was last deleted as `last`.
  void Drop(const ChunkKey& key, ChunkVersion last) {
    chunks_[key] = Chunk{};
    chunks_[key].last = last;
  }

  void NoteDeleted(const ChunkKey& key, ChunkVersion version) {
    chunks_[key].last = std::max(chunks_[key].last, version);
  }

  void Barrier() { durable_ = chunks_; }
  // Each chunk is as it was at the last barrier, or as it is.
  template <typename Random>
  void PowerCut(Random& random) {
    for (auto& [key, chunk] : chunks_) {
      if (random() % 2 == 0) chunk = durable_[key];
    }
    durable_ = chunks_;
  }

  uint64_t NextSequence() { return ++sequence_; }
  void RaiseSequence(uint64_t seen) { sequence_ = std::max(sequence_, seen); }

 private:
  // As the store does, only when the write is committed: a discarded one leaves the older record.
  static void KeepNewestOfEachChannel(std::vector<ChannelRecord>& channels) {
    if (channels.empty()) return;
    const WriteStamp newest = channels.back().stamp;
    channels.erase(std::remove_if(channels.begin(), std::prev(channels.end()),
                                  [&](const ChannelRecord& record) {
                                    return record.stamp.session == newest.session &&
                                           record.stamp.channel == newest.channel;
                                  }),
                   std::prev(channels.end()));
  }

  std::map<ChunkKey, Chunk> chunks_;
  std::map<ChunkKey, Chunk> durable_;
  uint64_t sequence_ = 0;  // survives crashes
};

}  // namespace penstock::chunkserver

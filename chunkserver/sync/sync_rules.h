// How a member gets in sync, as pure functions: whom it copies from, who may ask whom, and what is
// to be done about one chunk. group_pass.cc carries it out on disk and network, the simulator
// (tests/chunkserver/chain/) in memory.
//
// It stands on two sentences of the chain (chain_rules.h). While this member belongs to the group,
// everything new comes to it before its predecessors commit it. And of every chunk a predecessor
// has, committed or pending, each version that its successor was given. So under the chunk's lock
// here, with the source asked after it was taken: what is committed here is the source's committed
// or pending version, or it is a leftover of an earlier time in the group, and goes.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "chunkserver/store/chunk_store.h"
#include "common/cluster_map.h"
#include "common/ids.h"

namespace penstock::chunkserver {

enum class SyncRole : uint8_t {
  kNone,    // in sync, or no member
  kFollow,  // take the source's state, absence included
  kLead,    // of a reconciling group: adopt the highest version that any of the others has
};
SyncRole RoleOf(const Group& group, TargetId me);

// Whom to copy from. kFollow: any one of them, the best first. kLead: all of them.
std::vector<TargetId> SourcesOf(const Group& group, TargetId me);

struct SyncQuestion {
  TargetId asked;
  TargetId asker;
  uint32_t epoch = 0;
  bool adopted = false;  // the asked one has led the exchange of this epoch to its end
};
// OK when `asked` may tell `asker` what it has.
absl::Status MayAnswer(const Group& group, const SyncQuestion& question);

// What the source has of a chunk.
struct SourceChunk {
  ChunkVersion version;  // committed; not valid: absent
  std::optional<ChunkVersion> pending;
  bool quarantined = false;
};

enum class SyncAction : uint8_t {
  kNothing,
  kTake,     // the source's committed version, in place of whatever is here
  kDrop,     // the source has no such chunk
  kDiscard,  // what is pending here
};
struct SyncDecision {
  SyncAction action = SyncAction::kNothing;
  bool again = false;  // not at rest: it must be looked at once more
};
struct SyncPass {
  SyncRole role = SyncRole::kFollow;
  uint32_t epoch = 0;
  bool reconciling = false;
};
SyncPass PassOf(const Group& group, TargetId me);

// Both as seen at any moment, it tells whether there is something to look at; with both seen under
// the chunk's lock here, the source last, what to do.
SyncDecision DecideSync(const SyncPass& pass, const ChunkInfo& own, const SourceChunk& source);

// The order of keys in a store and in listings: that of reversed positions.
bool InStoreOrder(const ChunkKey& a, const ChunkKey& b);
// The greatest key below `key`; to list from `key` on.
ChunkKey JustBefore(const ChunkKey& key);

}  // namespace penstock::chunkserver

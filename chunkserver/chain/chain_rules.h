// The rules of chain replication with read-any (DESIGN.md section 6), as pure functions: no I/O, no
// clock, no locks. What happens to a write or read is decided here and nowhere else; write_chain.cc
// carries the decisions out on disk and network, tests/chunkserver/chain/simulator_* in memory.
//
// The rule everything stands on: a member *stages* a change before it forwards it, and commits it
// after its successor has answered OK. So of every chunk
//   - a predecessor has, committed or pending, every version that its successor has;
//   - what is committed anywhere is at least pending at every predecessor, and committed at every
//     successor;
//   - the head has everything, and what the head has committed is on every member.
#pragma once

#include <absl/status/status.h>

#include <cstdint>

#include "chunkserver/store/chunk_store.h"
#include "common/cluster_map.h"
#include "common/ids.h"

namespace penstock::chunkserver {

// One group as one of its members sees it at one moment.
struct MemberView {
  GroupId group;
  uint32_t epoch = 0;
  int position = -1;          // mine, head to tail; -1: not a member
  int member_count = 0;       // syncing ones included: they take writes
  bool in_sync = false;       // I am
  bool last_in_sync = false;  // of those that serve reads I stand last
  bool reconciling = false;   // nobody is in sync: nothing is written or settled
  TargetId successor;         // not valid at the tail
  bool successor_in_sync = false;

  bool is_member() const { return position >= 0; }
  bool is_head() const { return position == 0; }
  bool is_tail() const { return position >= 0 && position == member_count - 1; }
};
MemberView ViewOf(const Group& group, TargetId me);

// What a member knows of one chunk: the store's record, and what the process remembers beyond it
// (chunk_memory.h).
struct ChunkState {
  ChunkInfo info;
  ChunkVersion floor;  // versions up to here were deleted or refused: never take them again
  std::vector<ChannelRecord> remembered;  // channels of deleted chunks
  bool dead = false;                      // the whole content was deleted
};

// A write as it arrives: from a client (hop 0) or from the predecessor.
struct ChainRequest {
  ChangeKind kind = ChangeKind::kWrite;
  WriteStamp stamp;  // without a session: never taken for a repeat
  uint32_t epoch = 0;
  uint32_t hop = 0;
  ChunkVersion version;      // hop > 0
  ChunkVersion base;         // hop > 0: the committed version that the change builds on
  bool settle_only = false;  // no change: only bring to its end what is pending
};

enum class WriteAction : uint8_t {
  kRefuse,   // answer `refusal`
  kAnswer,   // it is done already: answer OK with `version`
  kStage,    // make it pending, building on `base`; at the head under a new version, else `version`
  kFinish,   // it is the pending version: go on where it stopped
  kSettle,   // an earlier write is pending as `version`: bring that to its end, then decide again
  kDiscard,  // the predecessor never had the pending `version`: forget it, then decide again
};
struct WriteDecision {
  WriteAction action = WriteAction::kRefuse;
  ChunkVersion version;
  ChunkVersion base;
  absl::Status refusal;
};
WriteDecision DecideWrite(const MemberView& view, const ChunkState& state,
                          const ChainRequest& request);

// What a predecessor does with its successor's answer to a forwarded version.
enum class ReplyAction : uint8_t {
  kCommit,
  kRetry,    // nobody knows whether it arrived: send the same again
  kReplace,  // the successor lacks the base: send the whole chunk
  kDiscard,  // it is staged nowhere behind, nor ever will be: forget it and answer the error
  kFail,     // answer the error; the version stays pending
};
struct ForwardHistory {
  int sends = 1;             // of this version in this request
  bool whole = false;        // it was sent as a replacement or a deletion
  bool may_discard = false;  // no predecessor can have committed it: I am the head, or it sent it
};
inline constexpr int kMaxSends = 3;
ReplyAction DecideReply(const absl::Status& reply, const ForwardHistory& history);

// Errors that promise "this version is staged neither here nor behind me, and never will be": a
// member remembers what it refused so (ChunkMemory), against copies of the request still under way.
bool IsDefiniteRefusal(const absl::Status& status);
// Any error, as one that promises nothing of the kind.
absl::Status Indefinite(absl::Status status);

enum class ReadAction : uint8_t {
  kServe,
  kRefuse,
  kSettle /* finish the pending one, then serve */
};
struct ReadDecision {
  ReadAction action = ReadAction::kRefuse;
  absl::Status refusal;
};
ReadDecision DecideRead(const MemberView& view, const ChunkInfo& info);

// OK when a request made under `epoch` may be served under `view`.
absl::Status CheckEpoch(const MemberView& view, uint32_t epoch);

}  // namespace penstock::chunkserver

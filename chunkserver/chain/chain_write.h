// ChainWrite leads one write of one chunk through one member: a state machine without I/O. Its
// owner does what each step says, on disk or network or in a simulator's memory, and reports the
// outcome, which gives the next step, until kDone. The owner holds the chunk's lock all the while,
// so that one ChainWrite a chunk runs on a member at a time.
//
//   look -> stage -> forward -> commit -> done            (head, middle)
//   look -> stage -> commit -> done                       (tail)
//   look -> forward or commit what is pending -> look ... (an earlier write must be settled first)
#pragma once

#include <absl/status/status.h>

#include "chunkserver/chain/chain_rules.h"
#include "chunkserver/chain/chunk_memory.h"
#include "common/ids.h"

namespace penstock::chunkserver {

struct ChainStep {
  enum class Kind : uint8_t {
    kLook,     // take the newest view and the chunk's info -> OnLook
    kStage,    // stage the request's change as `version`, at the head as a new version -> OnStaged
    kForward,  // send `version` to the successor: the request itself on top of `base`, or (`whole`)
               // what is pending, as a replacement or deletion -> OnReply
    kCommit,   // -> OnCommitted
    kDiscard,  // -> OnDiscarded
    kDone,     // answer `status`, and `version` when OK
  };
  Kind kind = Kind::kLook;
  ChunkVersion version;
  ChunkVersion base;
  bool whole = false;
  absl::Status status;
};

class ChainWrite {
 public:
  // `memory` must outlive the write.
  ChainWrite(const ChunkKey& key, ChainRequest request, ChunkMemory* memory);

  ChainStep Begin() { return ChainStep{}; }
  ChainStep OnLook(const MemberView& view, const ChunkInfo& info);
  // `version` is what was staged. `view` is the newest, taken after the staging: whoever copies
  // this member's chunks under a new epoch sees the version pending, or it is not committed under
  // the old one (docs/decisions/2026-11-30-how-a-member-gets-in-sync.md).
  ChainStep OnStaged(const MemberView& view, ChunkVersion version, const absl::Status& status);
  // `view` is the newest again: an epoch may have begun meanwhile.
  ChainStep OnReply(const MemberView& view, const absl::Status& reply);
  ChainStep OnCommitted(const absl::Status& status);
  ChainStep OnDiscarded(const absl::Status& status);

  // A version above everything this member knows of the chunk: `sequence` must be greater.
  uint64_t sequence_floor() const;
  const MemberView& view() const { return view_; }
  const ChainRequest& request() const { return request_; }

 private:
  ChainStep Look();
  ChainStep Proceed(bool whole);  // to the successor, or at the tail to the commit
  ChainStep Forward();
  ChainStep Done(absl::Status status, ChunkVersion version = {});
  ChainStep Refuse(absl::Status status);  // as Done, remembering what was refused for good
  void RememberDeletion();
  bool at_head() const { return request_.hop == 0; }
  // This member syncs, and the request's version is from before this epoch: the predecessors keep
  // it whatever this member says, because others may have shown it.
  bool must_take() const { return !view_.in_sync && request_.version.epoch < view_.epoch; }

  const ChunkKey key_;
  const ChainRequest request_;
  ChunkMemory* const memory_;
  MemberView view_;
  ChunkInfo info_;         // of the last look
  ChunkVersion floor_;     // of the last look
  ChunkVersion subject_;   // the version under way
  ChunkVersion base_;      // that it builds on
  bool settling_ = false;  // the subject is an earlier write
  bool subject_deletes_ = false;
  ForwardHistory history_;
  int looks_ = 0;
  absl::Status error_;  // to be answered after the discard
};

}  // namespace penstock::chunkserver

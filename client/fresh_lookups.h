// FreshLookups remembers the last lookups of each calling thread, so that the open, rename or
// unlink that the same system call goes on to needs no second call (docs/decisions/
// 2026-11-22-fresh-lookup-open.md). Bounded; an answer is used once to open, and only while young.
// Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <array>
#include <optional>
#include <string>

#include "client/name_ref.h"
#include "common/clock.h"
#include "common/ids.h"
#include "proto/meta.pb.h"

namespace penstock::client {

class FreshLookups {
 public:
  FreshLookups(absl::Duration valid_for, Clock* clock) : valid_for_(valid_for), clock_(clock) {}

  // What `name` in `parent` was found to be; without a value: no such entry.
  struct Found {
    InodeNumber parent;
    std::string name;
    std::optional<wire::Entry> entry;
    uint64_t token = 0;  // EntryCache's, before it was looked up
  };
  void Remember(uint64_t thread, Found found);
  // The entry of `ino`, once, if it was the thread's last or last but one lookup.
  std::optional<wire::Entry> Take(uint64_t thread, InodeNumber ino);
  // If `ino` was one of them, not long ago, and had no access list: the token then.
  std::optional<uint64_t> WithoutAcl(uint64_t thread, InodeNumber ino);
  // The thread's last lookup of the system call that goes on, if it found something.
  struct FoundName {
    NameRef name;
    InodeNumber ino;
    uint32_t mode = 0;
  };
  std::optional<FoundName> Last(uint64_t thread);
  void EndCall(uint64_t thread);  // what follows is of another one
  // The lookup of `name` fails, so that the kernel begins the system call anew.
  void SendBack(uint64_t thread, NameRef name);
  // kHere: it asks for that name again, having asked for no other; kAnew: its call has begun anew.
  enum class SentBack { kNo, kHere, kAnew };
  SentBack IsSentBack(uint64_t thread, InodeNumber parent, std::string_view name);
  std::optional<Found> Peek(uint64_t thread, InodeNumber parent, std::string_view name);

 private:
  static constexpr size_t kShards = 1024;
  static constexpr size_t kDepth = 2;  // rename looks two names up
  struct Remembered {
    uint64_t thread = 0;
    absl::Duration at;
    Found found;
  };
  struct Shard {
    absl::Mutex mu;
    std::array<Remembered, kDepth> last ABSL_GUARDED_BY(mu);  // newest first
    uint64_t sent_back ABSL_GUARDED_BY(mu) = 0;               // a thread
    NameRef sent_back_at ABSL_GUARDED_BY(mu);
    absl::Duration sent_back_when ABSL_GUARDED_BY(mu);
    bool begun_anew ABSL_GUARDED_BY(mu) = false;
    bool in_call ABSL_GUARDED_BY(mu) = false;  // of the thread that looked up last
  };
  static constexpr absl::Duration kAsksAgainWithin = absl::Milliseconds(500);
  static constexpr absl::Duration kBeginsAnewWithin = absl::Seconds(20);
  static constexpr absl::Duration kAclValidFor = absl::Milliseconds(50);
  bool Usable(const Remembered& r, uint64_t thread) const;
  Shard& ShardOf(uint64_t thread) { return shards_[thread % kShards]; }

  const absl::Duration valid_for_;
  Clock* const clock_;
  std::array<Shard, kShards> shards_;
};

}  // namespace penstock::client

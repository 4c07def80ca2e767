// ReadPace knows how fast chunkservers answer reads: when a read has waited so long that another
// copy is asked as well (a hedged read: Dean and Barroso, "The Tail at Scale", CACM 56(2), 2013),
// and which servers are slow again and again. No I/O; time comes with each call. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <array>
#include <cstddef>
#include <vector>

#include "common/ids.h"

namespace penstock::client {

struct ReadPaceOptions {
  // Another copy is asked when an answer takes longer than 99 of 100 do, but not sooner and not
  // later than this. Infinite `least`: never.
  absl::Duration least = absl::Milliseconds(10);
  absl::Duration most = absl::Seconds(1);
  double hedges_per_read = 0.05;  // on average: the servers' load grows by no more than that
  double hedges_saved = 10;       // at most, from quiet times
  // A server whose answers others overtook so often, and that answered few in time between, is
  // asked last for a while.
  double limps_after = 5;
  absl::Duration limps_for = absl::Seconds(5);
};

class ReadPace {
 public:
  explicit ReadPace(ReadPaceOptions options)
      : options_(options), saved_hedges_(options.hedges_saved) {}

  // How long after its start a read of so many bytes is worth another one.
  absl::Duration HedgeAfter(size_t bytes) const;
  // Whether there is one left to spend; spends it.
  bool TakeHedge();
  void GiveBackHedge();  // it could not be sent

  // The server began to answer a read, so long after it was sent.
  void Answered(ServerId server, size_t bytes, absl::Duration took);
  // Another copy's answer was here first, though asked later.
  void Overtaken(ServerId server, size_t bytes, absl::Duration waited, absl::Time now);
  bool Limps(ServerId server, absl::Time now) const;

  struct Counters {
    uint64_t hedged = 0;  // reads of which another copy was asked
    uint64_t won = 0;     // and was faster
  };
  Counters counters() const;

 private:
  static constexpr size_t kSamples = 128;  // kept of each server and size
  static constexpr size_t kEnough = 32;    // fewer say nothing
  static constexpr size_t kRefresh = 16;   // samples until the percentile is found anew
  // What an answer in time takes off `overtaken`: by the percentile 1 in 100 may be late anywhere,
  // and a server limps that is late thrice as often.
  static constexpr double kInTime = 0.03;
  static constexpr size_t kSmall = 64 << 10;  // bytes; larger reads wait longer for the disk
  struct Recent {
    std::array<float, kSamples> seconds;
    size_t count = 0;  // of all, the ring's included
    absl::Duration p99 = absl::InfiniteDuration();
  };
  struct Server {
    std::array<Recent, 2> recent;  // of small and of large reads
    double overtaken = 0;
    absl::Time limps_until = absl::InfinitePast();
  };
  static size_t KindOf(size_t bytes) { return bytes <= kSmall ? 0 : 1; }
  void Note(Server& server, size_t kind, absl::Duration took) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const ReadPaceOptions options_;
  mutable absl::Mutex mu_;  // innermost
  absl::flat_hash_map<ServerId, Server> servers_ ABSL_GUARDED_BY(mu_);
  double saved_hedges_ ABSL_GUARDED_BY(mu_);
  // Of a server that is faster than three of four (of three, the fastest): those that limp do not
  // hide in their own slowness, and when all are slow asking more of them makes nothing faster.
  std::array<absl::Duration, 2> usual_p99_ ABSL_GUARDED_BY(mu_) = {absl::InfiniteDuration(),
                                                                   absl::InfiniteDuration()};
  Counters counters_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::client

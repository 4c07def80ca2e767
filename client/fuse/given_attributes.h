// GivenAttributes knows of which inodes the kernel may keep attributes or access lists, so that it
// is told to drop those and no others. Telling it in vain does harm: an answer to GETATTR that was
// on its way then shows the caller the new size, and Linux goes on with the old one, so that a read
// up to the size that fstat said meets the end before it (seen on Linux 6.18). Thread-safe; holds
// as many inodes as got attributes within the time for which they hold.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <array>
#include <cstdint>

#include "common/clock.h"
#include "common/ids.h"

namespace penstock::client {

class GivenAttributes {
 public:
  explicit GivenAttributes(Clock* clock) : clock_(clock) {}

  // An earlier client may have given something of every inode: from now on all are dropped.
  void ExpectAny();
  // Before the question is looked into; for Give().
  uint64_t Begin(InodeNumber ino);
  // The kernel is about to get attributes that hold for `time`. False: they were dropped since
  // Begin(), so it must not keep them.
  bool Give(InodeNumber ino, uint64_t begun, absl::Duration time);
  // The kernel asks for an access list, before that is looked into: it keeps the answer, also that
  // there is none, until it looks the inode up again or is told.
  void GiveAccessList(InodeNumber ino);
  // Whether the kernel may have something of it, and has to be told.
  bool Drop(InodeNumber ino);

 private:
  static constexpr size_t kStripes = 256;
  static constexpr size_t kLookedThroughAt = 64;  // and at each doubling
  static constexpr size_t kMostLists = 512;
  struct Stripe {
    absl::Mutex mu;
    uint64_t drops ABSL_GUARDED_BY(mu) = 0;
    absl::flat_hash_map<InodeNumber, absl::Duration> until ABSL_GUARDED_BY(mu);
    size_t look_through_at ABSL_GUARDED_BY(mu) = kLookedThroughAt;
    absl::flat_hash_set<InodeNumber> lists ABSL_GUARDED_BY(mu);
    bool any_list ABSL_GUARDED_BY(mu) = false;  // of any inode: too many to be remembered
  };
  Stripe& StripeOf(InodeNumber ino) { return stripes_[ino.value() % kStripes]; }

  Clock* const clock_;
  std::array<Stripe, kStripes> stripes_;
};

}  // namespace penstock::client

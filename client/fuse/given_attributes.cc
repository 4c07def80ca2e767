#include "client/fuse/given_attributes.h"

#include <algorithm>

namespace penstock::client {

uint64_t GivenAttributes::Begin(InodeNumber ino) {
  Stripe& stripe = StripeOf(ino);
  absl::MutexLock lock(&stripe.mu);
  return stripe.drops;
}

bool GivenAttributes::Give(InodeNumber ino, uint64_t begun, absl::Duration time) {
  if (time <= absl::ZeroDuration()) return true;
  const absl::Duration now = clock_->SinceBoot();
  Stripe& stripe = StripeOf(ino);
  absl::MutexLock lock(&stripe.mu);
  if (stripe.drops != begun) return false;
  // Counted twice: the kernel's time begins when it has the answer.
  absl::Duration& until = stripe.until[ino];
  until = std::max(until, now + 2 * time);
  if (stripe.until.size() >= stripe.look_through_at) {
    absl::erase_if(stripe.until, [&](const auto& given) { return given.second < now; });
    stripe.look_through_at = std::max(kLookedThroughAt, 2 * stripe.until.size());
  }
  return true;
}

bool GivenAttributes::Drop(InodeNumber ino) {
  Stripe& stripe = StripeOf(ino);
  absl::MutexLock lock(&stripe.mu);
  ++stripe.drops;
  const absl::Duration now = clock_->SinceBoot();
  absl::Duration until = all_until_;
  if (auto it = stripe.until.find(ino); it != stripe.until.end()) {
    until = std::max(until, it->second);
    stripe.until.erase(it);
  }
  return until >= now;
}

}  // namespace penstock::client

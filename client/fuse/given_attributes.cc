#include "client/fuse/given_attributes.h"

#include <algorithm>

namespace penstock::client {

void GivenAttributes::ExpectAny() {
  for (Stripe& stripe : stripes_) {
    absl::MutexLock lock(&stripe.mu);
    stripe.any_list = true;
  }
}

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

void GivenAttributes::GiveAccessList(InodeNumber ino) {
  Stripe& stripe = StripeOf(ino);
  absl::MutexLock lock(&stripe.mu);
  if (stripe.any_list) return;
  stripe.lists.insert(ino);
  if (stripe.lists.size() <= kMostLists) return;
  stripe.any_list = true;
  stripe.lists = {};
}

bool GivenAttributes::Drop(InodeNumber ino) {
  Stripe& stripe = StripeOf(ino);
  absl::MutexLock lock(&stripe.mu);
  ++stripe.drops;
  bool has = stripe.lists.erase(ino) > 0 || stripe.any_list;
  if (auto it = stripe.until.find(ino); it != stripe.until.end()) {
    has = has || it->second >= clock_->SinceBoot();
    stripe.until.erase(it);
  }
  return has;
}

}  // namespace penstock::client

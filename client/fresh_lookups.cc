#include "client/fresh_lookups.h"

#include <utility>

namespace penstock::client {

void FreshLookups::Remember(uint64_t thread, Found found) {
  if (thread == 0) return;
  Shard& shard = ShardOf(thread);
  absl::MutexLock lock(&shard.mu);
  if (shard.sent_back == thread && !shard.begun_anew) {
    shard.begun_anew =
        shard.sent_back_at.parent != found.parent || shard.sent_back_at.name != found.name;
  }
  shard.in_call = true;
  std::swap(shard.last[0], shard.last[1]);
  shard.last[0] = {thread, clock_->SinceBoot(), std::move(found)};
}

bool FreshLookups::Usable(const Remembered& r, uint64_t thread) const {
  return r.thread == thread && clock_->SinceBoot() - r.at <= valid_for_;
}

std::optional<wire::Entry> FreshLookups::Take(uint64_t thread, InodeNumber ino) {
  if (thread == 0) return std::nullopt;
  Shard& shard = ShardOf(thread);
  absl::MutexLock lock(&shard.mu);
  for (Remembered& r : shard.last) {
    if (!Usable(r, thread) || !r.found.entry || r.found.entry->attr().ino() != ino.value())
      continue;
    std::optional<wire::Entry> entry = std::move(r.found.entry);
    r = Remembered{};
    return entry;
  }
  return std::nullopt;
}

std::optional<uint64_t> FreshLookups::WithoutAcl(uint64_t thread, InodeNumber ino) {
  if (thread == 0) return std::nullopt;
  Shard& shard = ShardOf(thread);
  absl::MutexLock lock(&shard.mu);
  for (const Remembered& r : shard.last) {
    if (!Usable(r, thread) || clock_->SinceBoot() - r.at > kAclValidFor) continue;
    if (!r.found.entry || r.found.entry->attr().ino() != ino.value()) continue;
    if (r.found.entry->has_acl()) return std::nullopt;
    return r.found.token;
  }
  return std::nullopt;
}

std::optional<FreshLookups::FoundName> FreshLookups::Last(uint64_t thread) {
  if (thread == 0) return std::nullopt;
  Shard& shard = ShardOf(thread);
  absl::MutexLock lock(&shard.mu);
  const Remembered& last = shard.last[0];
  if (!shard.in_call || last.thread != thread || !last.found.entry) return std::nullopt;
  return FoundName{{last.found.parent, last.found.name},
                   InodeNumber(last.found.entry->attr().ino()),
                   last.found.entry->attr().mode()};
}

void FreshLookups::EndCall(uint64_t thread) {
  if (thread == 0) return;
  Shard& shard = ShardOf(thread);
  absl::MutexLock lock(&shard.mu);
  if (shard.last[0].thread == thread) shard.in_call = false;
  if (shard.sent_back == thread) shard.sent_back = 0;
}

void FreshLookups::SendBack(uint64_t thread, NameRef name) {
  if (thread == 0) return;
  Shard& shard = ShardOf(thread);
  absl::MutexLock lock(&shard.mu);
  shard.sent_back = thread;
  shard.sent_back_at = std::move(name);
  shard.sent_back_when = clock_->SinceBoot();
  shard.begun_anew = false;
}

FreshLookups::SentBack FreshLookups::IsSentBack(uint64_t thread, InodeNumber parent,
                                                std::string_view name) {
  if (thread == 0) return SentBack::kNo;
  Shard& shard = ShardOf(thread);
  absl::MutexLock lock(&shard.mu);
  if (shard.sent_back != thread) return SentBack::kNo;
  if (shard.sent_back_at.parent != parent || shard.sent_back_at.name != name) return SentBack::kNo;
  const absl::Duration age = clock_->SinceBoot() - shard.sent_back_when;
  if (shard.begun_anew) return age <= kBeginsAnewWithin ? SentBack::kAnew : SentBack::kNo;
  return age <= kAsksAgainWithin ? SentBack::kHere : SentBack::kNo;
}

std::optional<FreshLookups::Found> FreshLookups::Peek(uint64_t thread, InodeNumber parent,
                                                      std::string_view name) {
  if (thread == 0) return std::nullopt;
  Shard& shard = ShardOf(thread);
  absl::MutexLock lock(&shard.mu);
  for (const Remembered& r : shard.last) {
    if (Usable(r, thread) && r.found.parent == parent && r.found.name == name) return r.found;
  }
  return std::nullopt;
}

}  // namespace penstock::client

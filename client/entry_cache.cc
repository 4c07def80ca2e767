#include "client/entry_cache.h"

#include <absl/hash/hash.h>
#include <sys/stat.h>

#include <algorithm>

#include "common/status.h"

namespace penstock::client {
namespace {

// What an element costs beside its own bytes.
constexpr int64_t kNameBytes = 64;
constexpr int64_t kRecordBytes = 96;
constexpr int64_t kLeaseBytes = 256;
// A directory that is larger is not kept as a whole: one would push out everything else.
constexpr size_t kLargestPart = 4;

int64_t CostOf(std::string_view name) { return kNameBytes + static_cast<int64_t>(name.size()); }

}  // namespace

EntryCache::EntryCache(size_t max_bytes, Clock* clock)
    : max_bytes_(max_bytes), clock_(clock), dropped_at_(kStripes, 0) {}

uint64_t EntryCache::NameMark(InodeNumber parent, std::string_view name) {
  return absl::HashOf(parent.value(), name);
}
uint64_t EntryCache::RecordMark(uint64_t ino) { return absl::HashOf(ino, 1); }
uint64_t EntryCache::DirectoryMark(InodeNumber directory) {
  return absl::HashOf(directory.value(), 2);
}
uint64_t EntryCache::LeaseMark(uint64_t lease) { return absl::HashOf(lease, 3); }

void EntryCache::SetValidUntil(absl::Duration since_boot) {
  valid_until_ns_.store(absl::ToInt64Nanoseconds(since_boot), std::memory_order_release);
}

absl::Duration EntryCache::ValidFor() const {
  const absl::Duration until = absl::Nanoseconds(valid_until_ns_.load(std::memory_order_acquire));
  return std::max(absl::ZeroDuration(), until - clock_->SinceBoot());
}

bool EntryCache::valid() const { return ValidFor() > absl::ZeroDuration(); }

EntryCache::Lease* EntryCache::Find(uint64_t lease) {
  auto it = leases_.find(lease);
  return it == leases_.end() ? nullptr : it->second.get();
}

InodeNumber EntryCache::FindName(InodeNumber parent, std::string_view name) {
  const Lease* lease = Find(parent.value());
  if (lease == nullptr) return InodeNumber();
  const auto it = lease->names.find(name);
  const bool here = it != lease->names.end() && it->second.kind == Kind::kHere;
  return here ? InodeNumber(it->second.ino) : InodeNumber();
}

EntryCache::Lease& EntryCache::GetOrMake(uint64_t lease) {
  if (Lease* found = Find(lease)) return *found;
  auto made = std::make_unique<Lease>();
  by_age_.push_back(lease);
  made->age = std::prev(by_age_.end());
  Lease& result = *(leases_[lease] = std::move(made));
  AddBytes(result, kLeaseBytes);
  return result;
}

void EntryCache::AddBytes(Lease& lease, int64_t bytes) {
  lease.bytes = static_cast<size_t>(static_cast<int64_t>(lease.bytes) + bytes);
  bytes_ = static_cast<size_t>(static_cast<int64_t>(bytes_) + bytes);
}

void EntryCache::NoteDrop(uint64_t mark) {
  dropped_at_[mark % kStripes] = clock_of_drops_.fetch_add(1, std::memory_order_acq_rel) + 1;
}

bool EntryCache::HeldSince(uint64_t lease, uint64_t token) const {
  return all_dropped_at_ <= token && dropped_at_[LeaseMark(lease) % kStripes] <= token &&
         !releasing_.contains(lease);
}

bool EntryCache::KeptSince(uint64_t mark, uint64_t lease, uint64_t token) const {
  return HeldSince(lease, token) && dropped_at_[mark % kStripes] <= token &&
         !changing_.contains(mark);
}

bool EntryCache::DroppedSince(uint64_t token, InodeNumber ino) const {
  absl::MutexLock lock(&mu_);
  return all_dropped_at_ > token || dropped_at_[RecordMark(ino.value()) % kStripes] > token;
}

// --- what is known

EntryCache::Name EntryCache::Lookup(InodeNumber parent, std::string_view name, wire::Entry* entry) {
  if (!valid()) return Name::kUnknown;
  absl::MutexLock lock(&mu_);
  Lease* lease = Find(parent.value());
  if (lease == nullptr || changing_.contains(NameMark(parent, name))) return Name::kUnknown;
  by_age_.splice(by_age_.end(), by_age_, lease->age);
  auto it = lease->names.find(name);
  if (it == lease->names.end()) return lease->complete ? Name::kAbsent : Name::kUnknown;
  if (it->second.kind == Kind::kAbsent) return Name::kAbsent;
  if (it->second.kind == Kind::kUnknown) return Name::kUnknown;
  const uint64_t ino = it->second.ino;
  auto record = records_.find(ino);
  if (record == records_.end() || changing_.contains(RecordMark(ino))) return Name::kUnknown;
  if (!entry->ParseFromString(record->second.bytes)) return Name::kUnknown;
  if (Lease* own = Find(record->second.lease); own != nullptr) {
    by_age_.splice(by_age_.end(), by_age_, own->age);
  }
  return Name::kHere;
}

bool EntryCache::Knows(const NameRef& name, InodeNumber ino) {
  if (!valid()) return false;
  absl::MutexLock lock(&mu_);
  if (changing_.contains(NameMark(name.parent, name.name))) return false;
  return FindName(name.parent, name.name) == ino;
}

std::optional<wire::Entry> EntryCache::Record(InodeNumber ino) {
  if (!valid()) return std::nullopt;
  absl::MutexLock lock(&mu_);
  auto record = records_.find(ino.value());
  if (record == records_.end() || changing_.contains(RecordMark(ino.value()))) return std::nullopt;
  Lease* lease = Find(record->second.lease);
  if (lease != nullptr) by_age_.splice(by_age_.end(), by_age_, lease->age);
  wire::Entry entry;
  if (!entry.ParseFromString(record->second.bytes)) return std::nullopt;
  return entry;
}

std::optional<EntryCache::Listing> EntryCache::ListAfter(InodeNumber directory,
                                                         std::string_view after, size_t limit) {
  if (!valid()) return std::nullopt;
  absl::MutexLock lock(&mu_);
  Lease* lease = Find(directory.value());
  if (lease == nullptr || !lease->complete || lease->unknown > 0) return std::nullopt;
  if (changing_.contains(DirectoryMark(directory))) return std::nullopt;
  by_age_.splice(by_age_.end(), by_age_, lease->age);
  Listing listing;
  listing.parent = InodeNumber(lease->parent);
  auto it = after.empty() ? lease->names.begin() : lease->names.upper_bound(after);
  for (; it != lease->names.end() && listing.names.size() < limit; ++it) {
    if (it->second.kind != Kind::kHere) continue;
    listing.names.push_back({it->first, InodeNumber(it->second.ino), it->second.type});
  }
  listing.end = it == lease->names.end();
  return listing;
}

// --- what calls answer

void EntryCache::SetName(Lease& lease, std::string_view name, NameState state) {
  auto it = lease.names.find(name);
  if (it != lease.names.end()) {
    if (it->second.kind == Kind::kUnknown) --lease.unknown;
  } else {
    it = lease.names.emplace(std::string(name), state).first;
    AddBytes(lease, CostOf(name));
  }
  it->second = state;
  if (state.kind == Kind::kUnknown) ++lease.unknown;
}

bool EntryCache::StoreName(uint64_t token, InodeNumber parent, const CachedName& name) {
  absl::MutexLock lock(&mu_);
  if (!KeptSince(NameMark(parent, name.name), parent.value(), token)) return false;
  SetName(GetOrMake(parent.value()), name.name, {Kind::kHere, name.ino.value(), name.type});
  Trim(parent.value());
  return true;
}

bool EntryCache::StoreAbsent(uint64_t token, InodeNumber parent, std::string_view name) {
  absl::MutexLock lock(&mu_);
  if (!KeptSince(NameMark(parent, name), parent.value(), token)) return false;
  SetName(GetOrMake(parent.value()), name, {Kind::kAbsent, 0, 0});
  Trim(parent.value());
  return true;
}

void EntryCache::PutRecord(const wire::Entry& entry) {
  const uint64_t ino = entry.attr().ino();
  ForgetRecord(ino);
  Stored& stored = records_[ino];
  stored.bytes = entry.SerializeAsString();
  stored.lease = entry.leased_by();
  Lease& lease = GetOrMake(stored.lease);
  lease.records.insert(ino);
  AddBytes(lease, kRecordBytes + static_cast<int64_t>(stored.bytes.size()));
}

bool EntryCache::StoreRecord(uint64_t token, const wire::Entry& entry) {
  if (entry.leased_by() == 0) return false;
  absl::MutexLock lock(&mu_);
  if (!KeptSince(RecordMark(entry.attr().ino()), entry.leased_by(), token)) return false;
  PutRecord(entry);
  Trim(entry.leased_by());
  return true;
}

void EntryCache::StorePage(uint64_t token, const wire::ReaddirRequest& request,
                           const wire::ReaddirResponse& response) {
  const InodeNumber directory(request.ino());
  absl::MutexLock lock(&mu_);
  for (const wire::DirectoryEntry& found : response.entries()) {
    if (!found.has_entry() || found.entry().leased_by() == 0) continue;
    if (!KeptSince(RecordMark(found.ino()), found.entry().leased_by(), token)) continue;
    PutRecord(found.entry());
  }
  if (response.names_leased() && HeldSince(directory.value(), token)) {
    Lease& lease = GetOrMake(directory.value());
    // A name that came or went since cannot be told from the page. Without any, none is asked for
    // by itself: left out for a drop that shares its stripe, it would be taken for absent.
    const bool unchanged = KeptSince(DirectoryMark(directory), directory.value(), token);
    const bool whole = unchanged && lease.bytes < max_bytes_ / kLargestPart;
    const bool next = request.start_after().empty() ||
                      (lease.listing && lease.listed_through == request.start_after());
    if (whole || lease.complete) lease.parent = response.parent();
    for (const wire::DirectoryEntry& found : response.entries()) {
      if (!unchanged && !KeptSince(NameMark(directory, found.name()), directory.value(), token)) {
        continue;
      }
      SetName(lease, found.name(), {Kind::kHere, found.ino(), found.type()});
    }
    if (whole && request.start_after().empty() && lease.unknown > 0) {
      // What is in doubt is settled by this listing, or is not there.
      for (auto it = lease.names.begin(); it != lease.names.end();) {
        if (it->second.kind != Kind::kUnknown) {
          ++it;
          continue;
        }
        AddBytes(lease, -CostOf(it->first));
        it = lease.names.erase(it);
      }
      lease.unknown = 0;
      lease.complete = false;
    }
    // A page of another listing, before or behind, leaves the one under way alone.
    if (!whole) lease.listing = false;
    if (whole && next) {
      lease.listing = true;
      lease.listed_through = response.entries().empty()
                                 ? request.start_after()
                                 : response.entries(response.entries_size() - 1).name();
      if (response.end()) {
        lease.complete = true;
        lease.listing = false;
      }
    }
  }
  Trim(directory.value());
}

// --- what goes

void EntryCache::ForgetRecord(uint64_t ino) {
  auto it = records_.find(ino);
  if (it == records_.end()) return;
  if (Lease* lease = Find(it->second.lease)) {
    lease->records.erase(ino);
    AddBytes(*lease, -(kRecordBytes + static_cast<int64_t>(it->second.bytes.size())));
  }
  records_.erase(it);
}

void EntryCache::ForgetName(InodeNumber parent, std::string_view name) {
  Lease* lease = Find(parent.value());
  if (lease == nullptr) return;
  lease->listing = false;
  if (lease->complete) return SetName(*lease, name, {Kind::kUnknown, 0, 0});
  auto it = lease->names.find(name);
  if (it == lease->names.end()) return;
  if (it->second.kind == Kind::kUnknown) --lease->unknown;
  AddBytes(*lease, -CostOf(name));
  lease->names.erase(it);
}

InodeNumber EntryCache::DropName(InodeNumber parent, std::string_view name) {
  absl::MutexLock lock(&mu_);
  NoteDrop(NameMark(parent, name));
  NoteDrop(DirectoryMark(parent));
  const InodeNumber was = FindName(parent, name);
  ForgetName(parent, name);
  return was;
}

void EntryCache::DropRecord(InodeNumber ino) {
  absl::MutexLock lock(&mu_);
  NoteDrop(RecordMark(ino.value()));
  ForgetRecord(ino.value());
}

void EntryCache::Erase(uint64_t id, Dropped* dropped) {
  auto it = leases_.find(id);
  if (it == leases_.end()) return;
  Lease& lease = *it->second;
  for (uint64_t ino : lease.records) {
    dropped->records.push_back(InodeNumber(ino));
    records_.erase(ino);
  }
  dropped->leases.push_back(InodeNumber(id));
  bytes_ -= lease.bytes;
  by_age_.erase(lease.age);
  leases_.erase(it);
}

EntryCache::Dropped EntryCache::Revoke(InodeNumber lease) {
  Dropped dropped;
  absl::MutexLock lock(&mu_);
  ++releasing_[lease.value()];
  NoteDrop(LeaseMark(lease.value()));
  Erase(lease.value(), &dropped);
  dropped.leases.assign(1, lease);
  return dropped;
}

EntryCache::Dropped EntryCache::DropAll() {
  Dropped dropped;
  absl::MutexLock lock(&mu_);
  all_dropped_at_ = clock_of_drops_.fetch_add(1, std::memory_order_acq_rel) + 1;
  std::vector<uint64_t> all;
  for (const auto& [id, lease] : leases_) all.push_back(id);
  for (uint64_t id : all) Erase(id, &dropped);
  for (InodeNumber lease : std::exchange(to_release_, Dropped()).leases) EndRelease(lease.value());
  return dropped;
}

void EntryCache::Trim(uint64_t keep) {
  auto it = by_age_.begin();
  while (bytes_ > max_bytes_ && it != by_age_.end()) {
    const uint64_t id = *it++;
    if (id == keep) continue;
    ++releasing_[id];
    NoteDrop(LeaseMark(id));
    Erase(id, &to_release_);
  }
}

EntryCache::Dropped EntryCache::TakeReleases() {
  absl::MutexLock lock(&mu_);
  return std::exchange(to_release_, Dropped());
}

// Of several that were asked for the last one counts: the metaserver takes the lease back each
// time.
void EntryCache::EndRelease(uint64_t lease) {
  auto it = releasing_.find(lease);
  if (it != releasing_.end() && --it->second == 0) releasing_.erase(it);
}

void EntryCache::FinishRelease(const std::vector<InodeNumber>& leases) {
  absl::MutexLock lock(&mu_);
  for (InodeNumber lease : leases) {
    EndRelease(lease.value());
    NoteDrop(LeaseMark(lease.value()));  // an answer from before holds no lease
  }
}

bool EntryCache::Holds(InodeNumber lease) const {
  absl::MutexLock lock(&mu_);
  return leases_.contains(lease.value());
}

size_t EntryCache::lease_count() const {
  absl::MutexLock lock(&mu_);
  return leases_.size();
}

std::vector<uint64_t> EntryCache::leases() const {
  absl::MutexLock lock(&mu_);
  std::vector<uint64_t> all;
  for (const auto& [id, lease] : leases_) all.push_back(id);
  return all;
}

size_t EntryCache::bytes() const {
  absl::MutexLock lock(&mu_);
  return bytes_;
}

}  // namespace penstock::client

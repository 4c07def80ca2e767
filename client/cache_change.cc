// A change of this mount's own: see entry_cache.h.
#include <sys/stat.h>

#include "client/entry_cache.h"
#include "common/status.h"

namespace penstock::client {

CacheChange::CacheChange(EntryCache* cache, std::vector<NameRef> names,
                         std::vector<InodeNumber> inodes)
    : cache_(cache), names_(std::move(names)), inodes_(std::move(inodes)), states_(names_.size()) {
  if (cache_ == nullptr) return;
  absl::MutexLock lock(&cache_->mu_);
  token_ = cache_->token();
  for (const NameRef& name : names_) {
    ++cache_->changing_[EntryCache::NameMark(name.parent, name.name)];
    ++cache_->changing_[EntryCache::DirectoryMark(name.parent)];
  }
  for (InodeNumber ino : inodes_) ++cache_->changing_[EntryCache::RecordMark(ino.value())];
}

void CacheChange::IsHere(size_t name, InodeNumber ino, uint32_t type) {
  states_[name] = EntryCache::NameState{EntryCache::Kind::kHere, ino.value(), type & S_IFMT};
}
void CacheChange::IsAbsent(size_t name) {
  states_[name] = EntryCache::NameState{EntryCache::Kind::kAbsent, 0, 0};
}
void CacheChange::IsUnchanged() { unchanged_ = true; }
void CacheChange::IsNow(const wire::Entry& record) {
  // What another one writes, too, is asked for each time.
  if (!record.other_writers() && !record.truncating()) records_.push_back(record);
}

// From here on the new state may be given, unless something else happened to it meanwhile.
CacheChange::~CacheChange() {
  if (cache_ == nullptr) return;
  absl::MutexLock lock(&cache_->mu_);
  auto unmark = [&](uint64_t mark) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    auto it = cache_->changing_.find(mark);
    INVARIANT(it != cache_->changing_.end());
    if (--it->second == 0) cache_->changing_.erase(it);
  };
  for (const NameRef& name : names_) {
    unmark(EntryCache::NameMark(name.parent, name.name));
    unmark(EntryCache::DirectoryMark(name.parent));
  }
  for (InodeNumber ino : inodes_) unmark(EntryCache::RecordMark(ino.value()));
  if (unchanged_) return;
  // All are judged by what happened before this change ends.
  std::vector<bool> kept_names, kept_records;
  for (const NameRef& name : names_) {
    kept_names.push_back(cache_->KeptSince(EntryCache::NameMark(name.parent, name.name),
                                           name.parent.value(), token_));
  }
  for (const wire::Entry& record : records_) {
    kept_records.push_back(
        record.leased_by() != 0 && cache_->Find(record.leased_by()) != nullptr &&
        cache_->KeptSince(EntryCache::RecordMark(record.attr().ino()), record.leased_by(), token_));
  }
  for (size_t i = 0; i < names_.size(); ++i) {
    const NameRef& name = names_[i];
    cache_->NoteDrop(EntryCache::NameMark(name.parent, name.name));
    cache_->NoteDrop(EntryCache::DirectoryMark(name.parent));
    EntryCache::Lease* lease = cache_->Find(name.parent.value());
    if (lease == nullptr) continue;
    if (states_[i].has_value() && kept_names[i]) {
      lease->listing = false;
      cache_->SetName(*lease, name.name, *states_[i]);
    } else {
      cache_->ForgetName(name.parent, name.name);
    }
  }
  for (InodeNumber ino : inodes_) {
    cache_->NoteDrop(EntryCache::RecordMark(ino.value()));
    cache_->ForgetRecord(ino.value());
  }
  for (size_t i = 0; i < records_.size(); ++i) {
    const uint64_t ino = records_[i].attr().ino();
    cache_->NoteDrop(EntryCache::RecordMark(ino));
    cache_->ForgetRecord(ino);
    if (kept_records[i]) cache_->PutRecord(records_[i]);
  }
}

}  // namespace penstock::client

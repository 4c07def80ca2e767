#include "client/listing_prefetch.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>

#include "common/status.h"

namespace penstock::client {
namespace {

// When names are unknown again after all were read, others change the directory all the time: it is
// read again only after as many lookups as make the cost small beside theirs, and then more.
constexpr uint64_t kEntriesALookup = 4;
constexpr uint64_t kNever = UINT64_MAX;

}  // namespace

void ListingPrefetch::Stop() {
  stop_.Fire();
  readers_.Stop();
}

void ListingPrefetch::NoteUnknown(InodeNumber directory, const OpContext& op) {
  {
    absl::MutexLock lock(&mu_);
    if (counted_.size() >= kDirectories && !counted_.contains(directory)) {
      absl::erase_if(counted_, [](const auto& each) { return each.second.due == kLookups; });
      if (counted_.size() >= kDirectories) counted_.clear();
    }
    Counted& counted = counted_[directory];
    if (++counted.lookups < counted.due || counted.reading) return;
    counted.reading = true;
  }
  OpContext own;
  own.credentials = op.credentials;
  own.interrupt = &stop_;
  if (readers_.Post([this, directory, own] { Read(directory, own); })) return;
  absl::MutexLock lock(&mu_);
  counted_.erase(directory);
}

void ListingPrefetch::Read(InodeNumber directory, const OpContext& op) {
  const Result read = ReadListing(directory, op);
  absl::MutexLock lock(&mu_);
  Counted& counted = counted_[directory];
  const uint64_t due = std::max(2 * counted.due, kLookups + read.entries / kEntriesALookup);
  counted = {.lookups = 0, .due = read.again ? due : kNever};
}

ListingPrefetch::Result ListingPrefetch::ReadListing(InodeNumber directory,
                                                     const OpContext& op) const {
  const std::unique_ptr<DirectoryReader> reader = open_(directory);
  Result read;
  size_t bytes = 0;
  for (uint64_t cookie = 0; read.entries < kMaxEntries && bytes < kMaxBytes;) {
    auto page = reader->After(cookie, /*with_entries=*/true, op);
    if (!page.ok()) {
      // Who may look names up need not be allowed to list them.
      SPDLOG_DEBUG("listing not read ahead ino={} error={}", directory.value(),
                   page.status().ToString());
      read.again = ErrnoOf(page.status()) != EACCES;
      return read;
    }
    read.again = page->empty();
    if (read.again) break;
    read.entries += page->size();
    for (const ListedEntry& listed : *page) bytes += listed.entry.ByteSizeLong();
    cookie = page->back().cookie;
  }
  return read;
}

}  // namespace penstock::client

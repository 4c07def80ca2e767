#include "client/directory_reader.h"

#include <sys/stat.h>
#include <algorithm>

#include "common/status.h"

namespace penstock::client {
namespace {
constexpr size_t kPageEndsKept = 4096;
}

// FNV-1a, finished with splitmix64's mixer.
uint64_t NameCookie(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (unsigned char c : name) hash = (hash ^ c) * 0x100000001b3u;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9u;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebu;
  hash = (hash ^ (hash >> 31)) >> 1;
  return std::max(hash, kFirstNameCookie);
}

absl::StatusOr<DirectoryReader::Page> DirectoryReader::Fetch(std::string start_after,
                                                             bool with_entries,
                                                             const OpContext& op) {
  wire::ReaddirRequest request;
  request.set_ino(ino_.value());
  request.set_start_after(start_after);
  request.set_limit(kPageEntries);
  request.set_with_entries(with_entries);
  ASSIGN_OR_RETURN(wire::ReaddirResponse response,
                   meta_->Query<wire::ReaddirResponse>(wire::METHOD_READDIR, request, op));
  Page page;
  page.start_after = start_after;
  page.end = response.end();
  page.with_entries = with_entries;
  if (start_after.empty()) {
    page.entries.push_back({".", ino_, S_IFDIR, kDotCookie, {}});
    page.entries.push_back({"..", InodeNumber(response.parent()), S_IFDIR, kDotDotCookie, {}});
  }
  for (wire::DirectoryEntry& found : *response.mutable_entries()) {
    ListedEntry listed{
        found.name(), InodeNumber(found.ino()), found.type(), NameCookie(found.name()), {}};
    // Two names of one cookie in a page: the later one's is moved on, so that none is seen twice.
    auto taken = [&](const ListedEntry& other) { return other.cookie == listed.cookie; };
    while (std::any_of(page.entries.begin(), page.entries.end(), taken)) ++listed.cookie;
    if (with_entries) listed.entry = inodes_->Absorb(found.entry());
    page.entries.push_back(std::move(listed));
  }
  if (response.entries().empty()) page.end = true;
  return page;
}

absl::StatusOr<DirectoryReader::Page> DirectoryReader::PageAfter(uint64_t cookie, bool with_entries,
                                                                 bool* begins_after,
                                                                 const OpContext& op) {
  // The end of a page read before: its name is known.
  for (const auto& [end_cookie, name] : page_ends_) {
    if (end_cookie == cookie) {
      *begins_after = true;
      return Fetch(name, with_entries, op);
    }
  }
  // A position from long ago (seekdir): the listing is read again up to it.
  std::string start_after;
  while (true) {
    ASSIGN_OR_RETURN(Page page, Fetch(start_after, with_entries, op));
    auto at = [&](const ListedEntry& e) { return e.cookie == cookie; };
    if (page.end || std::any_of(page.entries.begin(), page.entries.end(), at)) return page;
    start_after = page.entries.back().name;
  }
}

absl::StatusOr<std::vector<ListedEntry>> DirectoryReader::After(uint64_t cookie, bool with_entries,
                                                                const OpContext& op) {
  absl::MutexLock lock(&mu_);
  auto at_cookie = [&](const ListedEntry& e) { return e.cookie == cookie; };
  if (cookie == 0) {
    page_ends_.clear();
    ASSIGN_OR_RETURN(page_, Fetch("", with_entries, op));
    return page_.entries;
  }
  auto at = std::find_if(page_.entries.begin(), page_.entries.end(), at_cookie);
  if (at == page_.entries.end()) {
    bool begins_after = false;
    ASSIGN_OR_RETURN(page_, PageAfter(cookie, with_entries, &begins_after, op));
    if (begins_after) return page_.entries;
    at = std::find_if(page_.entries.begin(), page_.entries.end(), at_cookie);
    // Its name was removed meanwhile, and nobody knows where it stood.
    if (at == page_.entries.end()) return std::vector<ListedEntry>();
  }
  std::vector<ListedEntry> rest(std::next(at), page_.entries.end());
  if (!rest.empty() || page_.end) return rest;
  // The page is used up: the next one begins after its last name, which need not exist any more.
  if (page_ends_.size() < kPageEndsKept) page_ends_.emplace_back(cookie, at->name);
  ASSIGN_OR_RETURN(page_, Fetch(at->name, with_entries, op));
  return page_.entries;
}

}  // namespace penstock::client

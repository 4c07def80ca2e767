#include "client/directory_reader.h"

#include <sys/stat.h>
#include <algorithm>

#include "common/status.h"

namespace penstock::client {
namespace {

constexpr size_t kCookiesKept = 1 << 20;  // 8 MiB a handle; positions beyond are looked for

bool Contains(const std::vector<uint64_t>& cookies, uint64_t cookie) {
  return std::find(cookies.begin(), cookies.end(), cookie) != cookies.end();
}

}  // namespace

// FNV-1a, finished with splitmix64's mixer.
uint64_t NameCookie(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (unsigned char c : name) hash = (hash ^ c) * 0x100000001b3u;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9u;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebu;
  hash = (hash ^ (hash >> 31)) >> 1;
  return std::max(hash, kFirstNameCookie);
}

// Two names of one cookie in a page: the later one's is moved on, so that none is seen twice.
void DirectoryReader::Add(Page* page, ListedEntry listed) {
  while (page->cookies.contains(listed.cookie)) ++listed.cookie;
  page->cookies.insert(listed.cookie);
  page->entries.push_back(std::move(listed));
}

bool DirectoryReader::FetchCached(const std::string& start_after, bool with_entries,
                                  Page* page) const {
  auto listing = cache_->ListAfter(ino_, start_after, kPageEntries);
  if (!listing) return false;
  if (start_after.empty()) {
    Add(page, {".", ino_, S_IFDIR, kDotCookie, {}});
    Add(page, {"..", listing->parent, S_IFDIR, kDotDotCookie, {}});
  }
  for (CachedName& name : listing->names) {
    ListedEntry listed{std::move(name.name), name.ino, name.type, 0, {}};
    listed.cookie = NameCookie(listed.name);
    if (with_entries) {
      // A record that is not here is left to a lookup.
      if (auto record = cache_->Record(name.ino)) {
        listed.entry = inodes_->Absorb(*record);
        listed.entry.set_leased_by(0);
      }
    }
    Add(page, std::move(listed));
  }
  page->end = listing->end;
  return true;
}

absl::StatusOr<DirectoryReader::Page> DirectoryReader::Fetch(std::string start_after,
                                                             bool with_entries,
                                                             const OpContext& op) {
  Page page;
  page.start_after = start_after;
  page.with_entries = with_entries;
  if (FetchCached(start_after, with_entries, &page)) return page;
  const uint64_t token = cache_->token();
  wire::ReaddirRequest request;
  request.set_ino(ino_.value());
  request.set_start_after(start_after);
  request.set_limit(kPageEntries);
  request.set_with_entries(with_entries);
  ASSIGN_OR_RETURN(wire::ReaddirResponse response,
                   meta_->Query<wire::ReaddirResponse>(wire::METHOD_READDIR, request, op));
  cache_->StorePage(token, request, response);
  page.end = response.end();
  if (start_after.empty()) {
    Add(&page, {".", ino_, S_IFDIR, kDotCookie, {}});
    Add(&page, {"..", InodeNumber(response.parent()), S_IFDIR, kDotDotCookie, {}});
  }
  for (wire::DirectoryEntry& found : *response.mutable_entries()) {
    ListedEntry listed{
        found.name(), InodeNumber(found.ino()), found.type(), NameCookie(found.name()), {}};
    // What another session is writing is left to a lookup, which asks the writer.
    if (with_entries && !found.entry().other_writers()) {
      listed.entry = inodes_->Absorb(found.entry());
      listed.entry.set_leased_by(0);
    }
    Add(&page, std::move(listed));
  }
  if (response.entries().empty()) page.end = true;
  return page;
}

absl::Status DirectoryReader::Turn(std::string start_after, bool with_entries,
                                   const OpContext& op) {
  ASSIGN_OR_RETURN(page_, Fetch(std::move(start_after), with_entries, op));
  Remember();
  return absl::OkStatus();
}

void DirectoryReader::Remember() {
  if (cookies_kept_ + page_.entries.size() > kCookiesKept) return;
  SeenPage now{page_.start_after, {}};
  for (const ListedEntry& e : page_.entries) now.cookies.push_back(e.cookie);
  for (const SeenPage& seen : seen_) {
    auto known = [&](uint64_t cookie) { return Contains(seen.cookies, cookie); };
    if (seen.start_after == now.start_after &&
        std::all_of(now.cookies.begin(), now.cookies.end(), known)) {
      return;
    }
  }
  cookies_kept_ += now.cookies.size();
  seen_.push_back(std::move(now));
}

absl::StatusOr<size_t> DirectoryReader::GoTo(uint64_t cookie, bool with_entries,
                                             const OpContext& op) {
  for (const SeenPage& seen : seen_) {
    auto at = std::find(seen.cookies.begin(), seen.cookies.end(), cookie);
    if (at == seen.cookies.end()) continue;
    // Its name may be gone: what follows is what follows the last name left of those up to it.
    const std::vector<uint64_t> before(seen.cookies.begin(), std::next(at));
    RETURN_IF_ERROR(Turn(seen.start_after, with_entries, op));
    auto last = std::find_if(page_.entries.rbegin(), page_.entries.rend(),
                             [&](const auto& e) { return Contains(before, e.cookie); });
    return static_cast<size_t>(std::distance(last, page_.entries.rend()));
  }
  // Not remembered: the listing is read again up to it.
  std::string start_after;
  while (true) {
    RETURN_IF_ERROR(Turn(start_after, with_entries, op));
    auto at = std::find_if(page_.entries.begin(), page_.entries.end(),
                           [&](const ListedEntry& e) { return e.cookie == cookie; });
    if (at != page_.entries.end()) {
      return static_cast<size_t>(std::distance(page_.entries.begin(), at)) + 1;
    }
    if (page_.end) return page_.entries.size();  // removed, and nobody knows where it stood
    start_after = page_.entries.back().name;
  }
}

absl::StatusOr<std::vector<ListedEntry>> DirectoryReader::After(uint64_t cookie, bool with_entries,
                                                                const OpContext& op) {
  absl::MutexLock lock(&mu_);
  if (cookie == 0) {
    seen_.clear();
    cookies_kept_ = 0;
    RETURN_IF_ERROR(Turn("", with_entries, op));
    return page_.entries;
  }
  size_t next = 0;
  auto at = std::find_if(page_.entries.begin(), page_.entries.end(),
                         [&](const ListedEntry& e) { return e.cookie == cookie; });
  if (at != page_.entries.end()) {
    next = static_cast<size_t>(std::distance(page_.entries.begin(), at)) + 1;
  } else {
    ASSIGN_OR_RETURN(next, GoTo(cookie, with_entries, op));
  }
  if (next < page_.entries.size()) {
    return std::vector<ListedEntry>(std::next(page_.entries.begin(), static_cast<ptrdiff_t>(next)),
                                    page_.entries.end());
  }
  if (page_.end) return std::vector<ListedEntry>();
  // The page is used up: the next one begins after its last name, which need not exist any more.
  RETURN_IF_ERROR(Turn(page_.entries.back().name, with_entries, op));
  return page_.entries;
}

}  // namespace penstock::client

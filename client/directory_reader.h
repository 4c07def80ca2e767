// DirectoryReader is one open directory: it lists the names in pages and can go on from any cookie
// it gave out. A cookie is a 63-bit hash of the entry's name, so it stays valid while others change
// the directory (docs/formats has no part in it: cookies never leave this mount). Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_set.h>
#include <absl/synchronization/mutex.h>

#include <string>
#include <string_view>
#include <vector>

#include "client/entry_cache.h"
#include "client/inode_table.h"
#include "client/meta_api.h"

namespace penstock::client {

struct ListedEntry {
  std::string name;
  InodeNumber ino;
  uint32_t type = 0;    // S_IFMT bits
  uint64_t cookie = 0;  // to go on after this entry
  wire::Entry entry;    // attributes; without a value when ino of "." or ".."
};

// At least kFirstNameCookie and below 2^63.
uint64_t NameCookie(std::string_view name);
inline constexpr uint64_t kDotCookie = 1;
inline constexpr uint64_t kDotDotCookie = 2;
inline constexpr uint64_t kFirstNameCookie = 3;

class DirectoryReader {
 public:
  static constexpr uint32_t kPageEntries = 512;

  // All must outlive the reader.
  DirectoryReader(MetaApi* meta, const InodeTable* inodes, EntryCache* cache, InodeNumber ino)
      : meta_(meta), inodes_(inodes), cache_(cache), ino_(ino) {}

  InodeNumber ino() const { return ino_; }
  void SetNoAtime() { no_atime_ = true; }  // O_NOATIME; before the first read
  bool no_atime() const { return no_atime_; }
  // The entries after `cookie` (0: from "." on), as many as are at hand; none at the end.
  absl::StatusOr<std::vector<ListedEntry>> After(uint64_t cookie, bool with_entries,
                                                 const OpContext& op);

 private:
  struct Page {
    std::string start_after;
    std::vector<ListedEntry> entries;
    absl::flat_hash_set<uint64_t> cookies;  // theirs
    bool end = false;
    bool with_entries = false;
  };
  // A page that was read before, in its order then: where a cookie stood whose name is gone.
  struct SeenPage {
    std::string start_after;
    std::vector<uint64_t> cookies;
  };
  // From the cache: the whole directory must be there.
  bool FetchCached(const std::string& start_after, bool with_entries, Page* page) const;
  static void Add(Page* page, ListedEntry listed);
  absl::StatusOr<Page> Fetch(std::string start_after, bool with_entries, const OpContext& op);
  // Makes the page after the name the current one.
  absl::Status Turn(std::string start_after, bool with_entries, const OpContext& op)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Turns to the page of a cookie; the index in it of what comes after.
  absl::StatusOr<size_t> GoTo(uint64_t cookie, bool with_entries, const OpContext& op)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Remember() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  MetaApi* const meta_;
  const InodeTable* const inodes_;
  EntryCache* const cache_;
  const InodeNumber ino_;
  bool no_atime_ = false;
  // Held over calls: one listing a handle at a time, as the kernel asks for it anyway.
  absl::Mutex mu_;
  Page page_ ABSL_GUARDED_BY(mu_);
  std::vector<SeenPage> seen_ ABSL_GUARDED_BY(mu_);
  size_t cookies_kept_ ABSL_GUARDED_BY(mu_) = 0;  // in all of seen_; bounded
};

}  // namespace penstock::client

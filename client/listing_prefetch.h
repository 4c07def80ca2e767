// ListingPrefetch reads the listing of a directory, with attributes, once several of its names were
// asked for one by one: a program that opens files by name out of an index, or tries names that are
// not there, then pays a call for each page of the listing instead of one for each name. It works
// in the background; what it reads lies in the EntryCache. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>

#include <cstddef>
#include <functional>
#include <memory>

#include "client/directory_reader.h"
#include "client/op_context.h"
#include "common/net/rpc_client.h"
#include "common/worker_pool.h"

namespace penstock::client {

class ListingPrefetch {
 public:
  static constexpr uint64_t kLookups = 3;         // of unknown names, until a directory is read
  static constexpr size_t kMaxEntries = 10'000;   // of a directory; the rest is left to lookups
  static constexpr size_t kMaxBytes = 4 << 20;    // of its records, small files' bytes included
  static constexpr size_t kDirectories = 10'000;  // whose lookups are counted
  static constexpr int kThreads = 2;
  static constexpr size_t kMostQueued = 100;  // directories; what does not fit is not read

  using OpenDirectory = std::function<std::unique_ptr<DirectoryReader>(InodeNumber)>;
  // What `open` uses must outlive it.
  explicit ListingPrefetch(OpenDirectory open) : open_(std::move(open)) {}
  ~ListingPrefetch() { Stop(); }
  void Start() { readers_.Start(); }
  void Stop();  // gives up what is under way

  // A name of the directory had to be asked for. `op`: with its rights the directory is read.
  void NoteUnknown(InodeNumber directory, const OpContext& op);

 private:
  struct Counted {
    uint64_t lookups = 0;
    uint64_t due = kLookups;
    bool reading = false;
  };
  void Read(InodeNumber directory, const OpContext& op);
  struct Result {
    size_t entries = 0;
    bool again = false;  // it is worth reading again: neither too large nor forbidden
  };
  Result ReadListing(InodeNumber directory, const OpContext& op) const;

  const OpenDirectory open_;
  net::Interrupt stop_;
  WorkerPool readers_{{.name = "prefetch", .threads = kThreads, .queue_limit = kMostQueued}};
  absl::Mutex mu_;  // innermost
  absl::flat_hash_map<InodeNumber, Counted> counted_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::client

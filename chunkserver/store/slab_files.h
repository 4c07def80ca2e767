// SlabFiles are the files of one target that hold its chunks' bytes: fixed-size, sparse, named by
// number. Keeps count of which have writes that are not synced. Thread-safe.
// Knows nothing of slots, chunks or checksums.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/types/span.h>

#include <memory>
#include <string>

#include "common/file.h"

namespace penstock::chunkserver {

class SlabFiles {
 public:
  static constexpr size_t kOpenFiles = 1024;  // kept open; others are opened again when needed

  // `fs` must outlive this. The directory exists.
  SlabFiles(std::string dir, uint64_t slab_bytes, FileSystem* fs)
      : dir_(std::move(dir)), slab_bytes_(slab_bytes), fs_(fs) {}

  // Makes the file when it is missing. `blank`: nothing in it is needed any more, so its space goes
  // back to the file system first.
  absl::Status Create(uint32_t slab, bool blank) ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<bool> Exists(uint32_t slab) { return fs_->Exists(PathOf(slab)); }

  // DATA_LOSS: shorter than asked for.
  absl::Status Read(uint32_t slab, uint64_t offset, absl::Span<char> into);
  // ABORTED when it would have to wait for the disk.
  absl::Status ReadNoWait(uint32_t slab, uint64_t offset, absl::Span<char> into);
  // As Read, past the page cache (File::ReadFromDisk).
  absl::Status ReadFromDisk(uint32_t slab, uint64_t offset, absl::Span<char> into);
  // The slab is dirty when it returns, whether it succeeded or not.
  absl::Status Write(uint32_t slab, uint64_t offset, std::string_view data)
      ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status WriteZeros(uint32_t slab, uint64_t offset, uint64_t length);
  // Gives the space back. Only for bytes that nothing names any more.
  absl::Status Punch(uint32_t slab, uint64_t offset, uint64_t length);

  void MarkDirty(uint32_t slab) ABSL_LOCKS_EXCLUDED(mu_);
  // Every write that returned before this call is on disk when it returns OK. After an error the
  // kernel may have dropped bytes: only a new start can tell.
  absl::Status SyncDirty() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  std::string PathOf(uint32_t slab) const;
  absl::StatusOr<std::shared_ptr<File>> Get(uint32_t slab) ABSL_LOCKS_EXCLUDED(mu_);
  absl::StatusOr<std::shared_ptr<File>> OpenFile(uint32_t slab, bool create);

  const std::string dir_;
  const uint64_t slab_bytes_;
  FileSystem* const fs_;  // not owned
  absl::Mutex mu_;        // innermost; never held over the disk
  // Shared: a reader may still use a file that was dropped from here.
  absl::flat_hash_map<uint32_t, std::shared_ptr<File>> open_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<uint32_t> dirty_ ABSL_GUARDED_BY(mu_);
  bool directory_dirty_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace penstock::chunkserver

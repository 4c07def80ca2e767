// Asks again about what may have been work under way: a suspect is a problem only when the file is
// not open for writing, nothing is on its way, and it looks the same twice. Not thread-safe.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <vector>

#include "cli/fsck/content_join.h"
#include "cli/fsck/copy_compare.h"
#include "cli/fsck/problem.h"
#include "common/ids.h"
#include "proto/admin.pb.h"

namespace penstock::cli {

class Recheck {
 public:
  struct Sources {
    // The in-sync members' copies of a chunk.
    std::function<absl::StatusOr<std::vector<CopySeen>>(uint32_t storage_class, const ChunkKey&)>
        ask;
    std::function<absl::StatusOr<wire::InodeFacts>(uint64_t ino)> describe;
    std::function<uint32_t(uint32_t storage_class, const ChunkKey&)> group_of;
    std::function<void(absl::Duration)> sleep;
  };
  Recheck(Sources sources, TakeProblem take)
      : sources_(std::move(sources)), take_(std::move(take)) {}

  // An error: it could not be asked.
  absl::Status Copies(uint32_t storage_class, const ChunkKey& key);
  absl::Status Leaked(const LeakedContent& leaked);
  absl::Status File(const FileSuspect& suspect);
  absl::Status Misplaced(const FileRow& file, const ChunkRow& chunk);

 private:
  void ReportCopies(uint32_t storage_class, const ChunkKey& key,
                    const std::vector<CopySeen>& copies);
  absl::Status Beyond(const FileSuspect& suspect, const wire::InodeFacts& facts);
  absl::Status Missing(const FileSuspect& suspect, const wire::InodeFacts& facts);
  // Closed, whole, and with the content that the suspect had.
  static bool AtRest(const wire::InodeFacts& facts, const FileRow& file);
  absl::StatusOr<bool> StillAt(const wire::InodeFacts& facts, const FileRow& file);

  const Sources sources_;
  const TakeProblem take_;
};

}  // namespace penstock::cli

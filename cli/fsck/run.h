// One run of `penstock fsck`: chunk listings, facts, comparisons, second questions, repairs.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cli/admin_client.h"
#include "cli/fsck/chunk_asker.h"
#include "cli/fsck/metadata_check.h"
#include "cli/fsck/problem.h"
#include "cli/fsck/recheck.h"
#include "cli/progress_line.h"

namespace penstock::cli {

struct FsckFinding {
  Problem problem;
  bool repaired = false;
  std::string outcome;  // of the repair: what was done, or why not
};
struct FsckReport {
  std::vector<FsckFinding> findings;
  std::vector<std::string> unchecked;  // what could not be asked, and why
  uint64_t inodes = 0, names = 0, chunks = 0;
  uint64_t more_problems = 0;  // beyond those that are told
};

class FsckRun {
 public:
  struct Options {
    std::string temp_dir;
    bool repair = false;
  };
  FsckRun(AdminClient* admin, net::ClusterKey key, Options options);
  // An error: it could not run.
  absl::StatusOr<FsckReport> Run();

 private:
  struct ChunkSuspect {
    uint32_t storage_class = 0;
    ChunkKey key;
  };
  void Take(Problem problem);
  void Unchecked(const std::string& what, const absl::Status& why);
  absl::Status ScanGroups();
  absl::Status ReadMetadata();
  absl::Status Compare();
  absl::Status RecheckAll();
  absl::Status Repair();

  AdminClient* const admin_;
  const Options options_;
  ChunkAsker asker_;
  SpillSort<ChunkRow> chunks_;
  MetadataCheck metadata_;
  std::vector<ChunkSuspect> copies_;
  std::vector<LeakedContent> leaked_;
  std::vector<FileSuspect> files_;
  std::vector<std::pair<FileRow, ChunkRow>> misplaced_;
  FsckReport report_;
  ProgressLine progress_;
};

}  // namespace penstock::cli

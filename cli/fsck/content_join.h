// Compares files with chunks, both sorted by content: which chunks no file has, which files have
// more or less in chunks than their records say. What it finds are suspects: files change while
// they are looked at, so each is asked about again (recheck.h). Pure but for the rows' files.
#pragma once

#include <absl/status/status.h>

#include <functional>
#include <vector>

#include "cli/fsck/rows.h"
#include "cli/fsck/spill_sort.h"

namespace penstock::cli {

// A content that no file has, and some of its chunks.
struct LeakedContent {
  uint64_t content = 0;
  uint32_t storage_class = 0;
  uint64_t chunks = 0;
  uint64_t bytes = 0;
  uint32_t last_index = 0;
  ChunkRow first;
};
struct FileSuspect {
  FileRow file;
  uint64_t stored_bytes = 0;  // within its size
  uint64_t beyond_bytes = 0;  // how far behind its size something lies
  ChunkRow farthest;          // the chunk that lies there
  bool missing = false;       // less is stored than was written
};
struct JoinSuspects {
  std::function<void(const LeakedContent&)> leaked;
  std::function<void(const FileSuspect&)> file;
  std::function<void(const FileRow&, const ChunkRow&)> misplaced;
};

// Whether so much less is stored than the record says that bytes must be gone. The record's number
// is an estimate (metaserver/allocated.h).
bool LooksMissing(uint64_t stored_bytes, uint64_t allocated_bytes);

// Both are sorted.
absl::Status JoinContents(SpillSort<FileRow>& files, SpillSort<ChunkRow>& chunks,
                          const JoinSuspects& suspects);

}  // namespace penstock::cli

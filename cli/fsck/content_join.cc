#include "cli/fsck/content_join.h"

#include <algorithm>

#include "common/placement.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr uint64_t kMissingFrom = 64 << 10;

bool SameChunk(const ChunkRow& a, const ChunkRow& b) {
  return a.content == b.content && a.index == b.index && a.position == b.position;
}

// The next chunk; rows of one chunk (a group was listed twice) become one.
absl::Status StepChunk(SortedCursor<ChunkRow>& cursor, ChunkRow& chunk) {
  chunk = cursor.row();
  RETURN_IF_ERROR(cursor.Step());
  while (cursor.valid() && SameChunk(cursor.row(), chunk)) {
    chunk.length = std::max(chunk.length, cursor.row().length);
    RETURN_IF_ERROR(cursor.Step());
  }
  return absl::OkStatus();
}

absl::Status TakeLeaked(SortedCursor<ChunkRow>& cursor, const JoinSuspects& suspects) {
  LeakedContent leaked{.content = cursor.row().content,
                       .storage_class = cursor.row().storage_class,
                       .first = cursor.row()};
  ChunkRow chunk;
  while (cursor.valid() && cursor.row().content == leaked.content) {
    RETURN_IF_ERROR(StepChunk(cursor, chunk));
    ++leaked.chunks;
    leaked.bytes += chunk.length;
    leaked.last_index = chunk.index;
  }
  suspects.leaked(leaked);
  return absl::OkStatus();
}

void CheckFile(const FileSuspect& suspect, const JoinSuspects& suspects) {
  FileSuspect found = suspect;
  found.missing = LooksMissing(found.stored_bytes, found.file.allocated);
  if (found.missing || found.beyond_bytes > 0) suspects.file(found);
}

absl::Status TakeFile(const FileRow& file, SortedCursor<ChunkRow>& cursor,
                      const JoinSuspects& suspects) {
  FileSuspect suspect{.file = file};
  const bool is_checked = file.ino != 0 && !file.is_inline;  // its chunks may be on their way
  while (cursor.valid() && cursor.row().content == file.content) {
    ChunkRow chunk;
    RETURN_IF_ERROR(StepChunk(cursor, chunk));
    if (!is_checked) continue;
    if (chunk.position != ChunkPosition(file.seed, chunk.index)) {
      suspects.misplaced(file, chunk);
      continue;
    }
    const uint64_t begin = uint64_t{chunk.index} << file.chunk_size_log2;
    const uint64_t end = begin + chunk.length;
    if (end > file.size && end - file.size > suspect.beyond_bytes) {
      suspect.beyond_bytes = end - file.size;
      suspect.farthest = chunk;
    }
    if (begin < file.size) suspect.stored_bytes += std::min(end, file.size) - begin;
  }
  if (is_checked) CheckFile(suspect, suspects);
  return absl::OkStatus();
}

}  // namespace

bool LooksMissing(uint64_t stored_bytes, uint64_t allocated_bytes) {
  if (stored_bytes >= allocated_bytes) return false;
  return stored_bytes == 0 || allocated_bytes - stored_bytes >= kMissingFrom;
}

absl::Status JoinContents(SpillSort<FileRow>& files, SpillSort<ChunkRow>& chunks,
                          const JoinSuspects& suspects) {
  SortedCursor<FileRow> file(&files);
  SortedCursor<ChunkRow> chunk(&chunks);
  RETURN_IF_ERROR(file.Start());
  RETURN_IF_ERROR(chunk.Start());
  while (file.valid() || chunk.valid()) {
    if (!file.valid() || (chunk.valid() && chunk.row().content < file.row().content)) {
      RETURN_IF_ERROR(TakeLeaked(chunk, suspects));
      continue;
    }
    FileRow taken = file.row();
    // A dead content may still be in its file's record when the reclaimer has been interrupted.
    do {
      RETURN_IF_ERROR(file.Step());
      if (file.valid() && file.row().content == taken.content) taken = file.row();
    } while (file.valid() && file.row().content == taken.content);
    RETURN_IF_ERROR(TakeFile(taken, chunk, suspects));
  }
  return absl::OkStatus();
}

}  // namespace penstock::cli

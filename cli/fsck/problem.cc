#include "cli/fsck/problem.h"

namespace penstock::cli {

absl::string_view NameOf(ProblemKind kind) {
  switch (kind) {
    case ProblemKind::kDamagedRecord:
      return "damaged_record";
    case ProblemKind::kDanglingName:
      return "dangling_name";
    case ProblemKind::kNameless:
      return "nameless_inode";
    case ProblemKind::kLinkCount:
      return "wrong_counts";
    case ProblemKind::kManyNames:
      return "directory_with_many_names";
    case ProblemKind::kNameType:
      return "wrong_type_of_name";
    case ProblemKind::kOrphanRecord:
      return "wrong_orphan_record";
    case ProblemKind::kTruncationRecord:
      return "wrong_truncation_record";
    case ProblemKind::kAttributes:
      return "attributes_of_nothing";
    case ProblemKind::kCounters:
      return "wrong_dataset_counters";
    case ProblemKind::kCopiesDiffer:
      return "copies_differ";
    case ProblemKind::kDamagedCopy:
      return "damaged_copy";
    case ProblemKind::kLeakedChunks:
      return "leaked_chunks";
    case ProblemKind::kMisplacedChunk:
      return "misplaced_chunk";
    case ProblemKind::kBeyondSize:
      return "chunks_beyond_size";
    case ProblemKind::kMissingData:
      return "missing_data";
  }
  return "unknown";
}

}  // namespace penstock::cli

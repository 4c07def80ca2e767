// What fsck finds: a kind, one line for people, and how it can be mended, if it can.
#pragma once

#include <absl/functional/function_ref.h>
#include <absl/strings/string_view.h>

#include <functional>
#include <optional>
#include <string>

#include "proto/admin.pb.h"

namespace penstock::cli {

enum class ProblemKind {
  kDamagedRecord,
  kDanglingName,      // leads to no inode, or stands in no directory
  kNameless,          // an inode without a name that nobody is to reclaim
  kLinkCount,         // links, entries or parent of an inode
  kManyNames,         // of one directory
  kNameType,          // the name says another type than the inode
  kOrphanRecord,      // of no inode, or of one that has a name
  kTruncationRecord,  // of no truncation, or missing
  kAttributes,        // of no inode
  kCounters,
  kCopiesDiffer,  // in-sync members have different versions of a chunk, or one has none
  kDamagedCopy,
  kLeakedChunks,    // of no file
  kMisplacedChunk,  // where no file looks for it
  kBeyondSize,      // chunks behind the end of their file
  kMissingData,     // less is stored than was written
};
absl::string_view NameOf(ProblemKind kind);

struct Problem {
  ProblemKind kind = ProblemKind::kDamagedRecord;
  std::string text;
  std::optional<wire::Fix> fix;  // none: only a person can say what is right
};

using TakeProblem = std::function<void(Problem)>;

}  // namespace penstock::cli

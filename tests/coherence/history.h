#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace penstock::coherence {

// The names that random operations work on. `s` is only ever made and removed: a walk through a
// directory that is renamed meanwhile is not one step on any Linux file system.
constexpr std::array<const char*, 6> kPaths = {"a", "b", "c", "s", "s/a", "s/b"};
constexpr int kPathOfSub = 3;
constexpr int kNoParent = -1;
constexpr int ParentOf(int path) { return path > kPathOfSub ? kPathOfSub : kNoParent; }

enum class OpKind : uint8_t {
  kCreate,  // open with O_CREAT|O_EXCL
  kUnlink,
  kMkdir,
  kRmdir,
  kRename,
  kRenameNoReplace,
  kExchange,
  kLink,
  kChmod,
  kTruncate,
  kStat,
  kListRoot,
  kListSub,
};

// One operation, what it answered, and when it began and ended.
struct Op {
  OpKind kind = OpKind::kStat;
  uint8_t node = 0;
  uint8_t path = 0;      // of kPaths
  uint8_t other = 0;     // the second one
  int32_t argument = 0;  // mode or size
  int32_t error = 0;     // errno; 0: it went well
  bool unknown = false;  // its answer was lost: it may have happened, at any time since, or not
  int64_t begin_ns = 0;
  int64_t end_ns = 0;
  bool is_directory = false;  // what stat said
  int32_t mode = 0;
  int64_t size = 0;
  int32_t nlink = 0;    // of files
  uint32_t listed = 0;  // what a listing had, a bit a path
};

struct History {
  uint32_t count;
  std::array<Op, 48> ops;
};

std::string Describe(const Op& op);

}  // namespace penstock::coherence

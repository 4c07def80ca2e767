#include "tests/coherence/history.h"

#include <cstdio>
#include <cstring>

namespace penstock::coherence {
namespace {

std::string Arguments(const Op& op) {
  const std::string path = kPaths[op.path], other = kPaths[op.other];
  char number[32];
  std::snprintf(number, sizeof(number), op.kind == OpKind::kTruncate ? "%d" : "%o", op.argument);
  switch (op.kind) {
    case OpKind::kCreate:
      return "create(" + path + ", " + number + ")";
    case OpKind::kUnlink:
      return "unlink(" + path + ")";
    case OpKind::kMkdir:
      return "mkdir(" + path + ", " + number + ")";
    case OpKind::kRmdir:
      return "rmdir(" + path + ")";
    case OpKind::kRename:
      return "rename(" + path + ", " + other + ")";
    case OpKind::kRenameNoReplace:
      return "rename(" + path + ", " + other + ", NOREPLACE)";
    case OpKind::kExchange:
      return "rename(" + path + ", " + other + ", EXCHANGE)";
    case OpKind::kLink:
      return "link(" + path + ", " + other + ")";
    case OpKind::kChmod:
      return "chmod(" + path + ", " + number + ")";
    case OpKind::kTruncate:
      return "truncate(" + path + ", " + number + ")";
    case OpKind::kStat:
      return "stat(" + path + ")";
    case OpKind::kListRoot:
      return "readdir(.)";
    case OpKind::kListSub:
      return "readdir(s)";
  }
  return "?";
}

std::string Answer(const Op& op) {
  if (op.unknown) return "unknown";
  if (op.error) return strerrorname_np(op.error);
  char text[80];
  if (op.kind == OpKind::kStat) {
    if (op.is_directory) {
      std::snprintf(text, sizeof(text), "directory, mode %o", op.mode);
    } else {
      std::snprintf(text, sizeof(text), "file, mode %o, size %lld, nlink %d", op.mode,
                    static_cast<long long>(op.size), op.nlink);
    }
    return text;
  }
  if (op.kind != OpKind::kListRoot && op.kind != OpKind::kListSub) return "ok";
  std::string names = "{";
  for (size_t i = 0; i < kPaths.size(); ++i) {
    if (op.listed & (1u << i)) names += std::string(names.size() > 1 ? " " : "") + kPaths[i];
  }
  return names + "}";
}

}  // namespace

std::string Describe(const Op& op) {
  char times[64];
  std::snprintf(times, sizeof(times), "%12.1f %12.1f  node %d  ",
                static_cast<double>(op.begin_ns) / 1000, static_cast<double>(op.end_ns) / 1000,
                op.node);
  return times + Arguments(op) + " = " + Answer(op);
}

}  // namespace penstock::coherence

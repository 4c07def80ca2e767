#include "client/fuse/operation_times.h"

namespace penstock::client {
namespace {

struct NamedOperation {
  uint32_t opcode;
  const char* name;
};

constexpr NamedOperation kNamed[] = {
    {FUSE_LOOKUP, "lookup"},
    {FUSE_GETATTR, "getattr"},
    {FUSE_SETATTR, "setattr"},
    {FUSE_READLINK, "readlink"},
    {FUSE_SYMLINK, "symlink"},
    {FUSE_MKNOD, "mknod"},
    {FUSE_MKDIR, "mkdir"},
    {FUSE_UNLINK, "unlink"},
    {FUSE_RMDIR, "rmdir"},
    {FUSE_RENAME, "rename"},
    {FUSE_LINK, "link"},
    {FUSE_OPEN, "open"},
    {FUSE_READ, "read"},
    {FUSE_WRITE, "write"},
    {FUSE_STATFS, "statfs"},
    {FUSE_RELEASE, "release"},
    {FUSE_FSYNC, "fsync"},
    {FUSE_SETXATTR, "setxattr"},
    {FUSE_GETXATTR, "getxattr"},
    {FUSE_LISTXATTR, "listxattr"},
    {FUSE_REMOVEXATTR, "removexattr"},
    {FUSE_FLUSH, "flush"},
    {FUSE_OPENDIR, "opendir"},
    {FUSE_READDIR, "readdir"},
    {FUSE_RELEASEDIR, "releasedir"},
    {FUSE_FSYNCDIR, "fsyncdir"},
    {FUSE_GETLK, "getlk"},
    {FUSE_SETLK, "setlk"},
    {FUSE_SETLKW, "setlkw"},
    {FUSE_CREATE, "create"},
    {FUSE_FALLOCATE, "fallocate"},
    {FUSE_READDIRPLUS, "readdirplus"},
    {FUSE_RENAME2, "rename"},
    {FUSE_LSEEK, "lseek"},
    {FUSE_COPY_FILE_RANGE, "copy_file_range"},
};

}  // namespace

void OperationTimes::AddTo(std::vector<Metric>* metrics) const {
  Metric& metric = metrics->emplace_back(Metric::Of(
      Metric::Kind::kHistogram, "penstock_client_request_seconds",
      "How long requests of the kernel took, by what they ask; waits for others (recalls, "
      "full queues) are in it."));
  LatencyHistogram::Snapshot renames;
  for (const NamedOperation& named : kNamed) {
    LatencyHistogram::Snapshot taken = times_[named.opcode].Take();
    if (named.opcode == FUSE_RENAME) {
      renames = taken;  // shown with those that have flags
      continue;
    }
    if (named.opcode == FUSE_RENAME2) {
      for (size_t i = 0; i < taken.counts.size(); ++i) taken.counts[i] += renames.counts[i];
      taken.sum_seconds += renames.sum_seconds;
    }
    if (taken.count() > 0) metric.samples.push_back({{{"op", named.name}}, 0, taken});
  }
}

}  // namespace penstock::client

#include "client/fuse/attributes.h"

#include <cerrno>

#include "common/status.h"

namespace penstock::client {
namespace {

constexpr long kPreferredIoBytes = 128 << 10;

timespec ToTimespec(const wire::Time& time) {
  return {time.seconds(), static_cast<long>(time.nanos())};
}

}  // namespace

struct stat ToStat(const wire::Attr& attr) {
  struct stat st = {};
  st.st_ino = attr.ino();
  st.st_mode = attr.mode();
  st.st_nlink = attr.nlink();
  st.st_uid = attr.uid();
  st.st_gid = attr.gid();
  st.st_rdev = attr.rdev();
  st.st_size = static_cast<off_t>(attr.size());
  st.st_blocks = static_cast<blkcnt_t>(attr.blocks());
  st.st_blksize = kPreferredIoBytes;
  st.st_atim = ToTimespec(attr.atime());
  st.st_mtim = ToTimespec(attr.mtime());
  st.st_ctim = ToTimespec(attr.ctime());
  return st;
}

fuse_entry_param ToEntryParam(const MountContext& mount, const wire::Entry& entry,
                              bool name_cached) {
  fuse_entry_param param = {};
  param.entry_timeout = absl::ToDoubleSeconds(mount.memory->NamesFor(name_cached));
  if (entry.attr().ino() == 0) return param;  // the kernel remembers that there is none
  param.ino = mount.ToNode(InodeNumber(entry.attr().ino()));
  // Inode numbers are never used again. The kernel takes the root's for 0.
  param.generation = param.ino == FUSE_ROOT_ID ? 0 : 1;
  param.attr = ToStat(entry.attr());
  param.attr_timeout = 0;  // GETATTR gives them a time (KernelMemory)
  return param;
}

int ToErrno(const absl::Status& status) {
  if (status.ok()) return 0;
  if (const int attached = AttachedErrno(status); attached != 0) return attached;
  if (absl::IsCancelled(status)) return EINTR;
  if (IsRetryable(status) || absl::IsDeadlineExceeded(status) || absl::IsDataLoss(status)) {
    return EIO;
  }
  return ErrnoOf(status);
}

}  // namespace penstock::client

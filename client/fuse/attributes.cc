#include "client/fuse/attributes.h"

#include <cerrno>

#include "common/status.h"

namespace penstock::client {
namespace {

// Long enough for the GETATTRs of an open and its fstat to be answered by their LOOKUP on a busy
// machine. The kernel drops attributes that this mount changes, and each path looks up anew.
constexpr double kFileAttrTimeout = 0.05;
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

double AttrTimeout(const MountContext& mount, const wire::Entry& entry) {
  if (S_ISDIR(entry.attr().mode())) return absl::ToDoubleSeconds(mount.options.attr_timeout);
  return kFileAttrTimeout;
}

fuse_entry_param ToEntryParam(const MountContext& mount, const wire::Entry& entry) {
  fuse_entry_param param = {};
  param.ino = mount.ToNode(InodeNumber(entry.attr().ino()));
  // Inode numbers are never used again. The kernel takes the root's for 0.
  param.generation = param.ino == FUSE_ROOT_ID ? 0 : 1;
  param.attr = ToStat(entry.attr());
  param.attr_timeout = AttrTimeout(mount, entry);
  if (S_ISDIR(entry.attr().mode())) {
    param.entry_timeout = absl::ToDoubleSeconds(mount.options.entry_timeout);
  }
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

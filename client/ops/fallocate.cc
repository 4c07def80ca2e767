// fallocate: space is never promised ahead (chunks are copied on several disks as they are
// written), so allocating only sets the size.
#include <linux/falloc.h>

#include <cerrno>

#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {

absl::Status FileSystem::Fallocate(const FileHandle& handle, int mode, uint64_t offset,
                                   uint64_t length, const OpContext& op) {
  const bool keep_size = (mode & FALLOC_FL_KEEP_SIZE) != 0;
  const int kind = mode & ~FALLOC_FL_KEEP_SIZE;
  const bool punch = kind == FALLOC_FL_PUNCH_HOLE && keep_size;
  if (kind != 0 && !punch && kind != FALLOC_FL_ZERO_RANGE) {
    return PosixError(EOPNOTSUPP, "fallocate: this mode");
  }
  if (length == 0) return PosixError(EINVAL, "fallocate: nothing");
  if (!handle.write) return PosixError(EBADF, "not open for writing");
  RETURN_IF_ERROR(RefreshForWriting(*handle.inode, op));
  if (kind != 0) {
    RETURN_IF_ERROR(writer_->InTurn(handle.inode, op, [&](const OpContext& mine) {
      return writer_->Zero(handle.inode, offset, length, mine);
    }));
  }
  uint64_t size = 0;
  {
    absl::MutexLock lock(&handle.inode->mu);
    size = handle.inode->size();
  }
  if (keep_size || offset + length <= size) return absl::OkStatus();
  wire::SetattrRequest grow;
  grow.set_ino(handle.inode->ino.value());
  grow.set_fields(wire::SETATTR_SIZE);
  grow.set_size(offset + length);
  return SetSize(handle.inode, grow, op).status();
}

}  // namespace penstock::client

// lseek with SEEK_DATA and SEEK_HOLE.
#include <unistd.h>

#include <cerrno>

#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {

absl::StatusOr<uint64_t> FileSystem::Seek(const FileHandle& handle, uint64_t offset, int whence,
                                          const OpContext& op) {
  if (whence != SEEK_DATA && whence != SEEK_HOLE) return PosixError(EINVAL, "seek");
  RETURN_IF_ERROR(RefreshStale(*handle.inode, op));
  return reader_.Seek(handle.inode, offset, whence == SEEK_DATA, op);
}

}  // namespace penstock::client

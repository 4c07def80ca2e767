// read and write of an open file.
#include <cerrno>

#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {

absl::StatusOr<size_t> FileSystem::Read(const FileHandle& handle, uint64_t offset,
                                        absl::Span<char> into, const OpContext& op) {
  auto n = reader_.Read(handle.inode, offset, into, op);
  if (n.ok() && !handle.no_atime) read_times_.NoteRead(handle.inode);
  return n;
}

absl::Status FileSystem::Write(const FileHandle& handle, uint64_t offset, std::string_view data,
                               const OpContext& op) {
  if (!handle.write) return PosixError(EBADF, "not open for writing");
  handle.writers.Add(op.thread);
  if (op.thread == 0) {
    // The kernel may take any mapped handle for a page: whose it is shows only at the inode.
    absl::MutexLock lock(&handle.inode->mu);
    handle.inode->by_mapping = true;
  }
  return writer_->Write(handle.inode, offset, data, op);
}

}  // namespace penstock::client

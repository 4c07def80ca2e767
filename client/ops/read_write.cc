// read and write of an open file.
#include <cerrno>

#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {

absl::StatusOr<size_t> FileSystem::Read(const FileHandle& handle, uint64_t offset,
                                        absl::Span<char> into, const OpContext& op) {
  handle.inode->has_pages = true;
  RETURN_IF_ERROR(RefreshStale(*handle.inode, op));
  auto n = reader_.Read(handle.inode, offset, into, op);
  if (n.ok()) counters_.read_bytes.fetch_add(*n, std::memory_order_relaxed);
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
  handle.inode->has_pages = true;
  const PageDrops::Write under_way(&page_drops_, handle.inode->ino);
  RETURN_IF_ERROR(RefreshForWriting(*handle.inode, op));
  const bool append = handle.append && op.thread != 0;  // pages of a mapping have their place
  ASSIGN_OR_RETURN(const uint64_t went_to,
                   writer_->WriteBytes(handle.inode, {offset, append}, data, op));
  counters_.written_bytes.fetch_add(data.size(), std::memory_order_relaxed);
  if (append && kernel_ != nullptr) {
    // These bytes did not pass through the kernel's pages (FillOpen in fuse/ops_files.cc).
    kernel_->DropPages(handle.inode->ino, went_to, data.size());
  }
  return absl::OkStatus();
}

}  // namespace penstock::client

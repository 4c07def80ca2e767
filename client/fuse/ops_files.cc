// create, open, read, write, flush, fsync, release, fallocate, lseek, copy_file_range.
#include <fcntl.h>

#include <cstring>
#include <memory>

#include "client/fuse/operations.h"
#include "client/fuse/request.h"
#include "common/net/payload_buffer.h"
#include "common/status.h"

namespace penstock::client {
namespace {

OpenFlags FlagsOf(const fuse_file_info* fi) {
  return {.read = (fi->flags & O_ACCMODE) != O_WRONLY,
          .write = (fi->flags & O_ACCMODE) != O_RDONLY,
          .truncate = (fi->flags & O_TRUNC) != 0,
          .exclusive = (fi->flags & O_EXCL) != 0,
          .append = (fi->flags & O_APPEND) != 0};
}

// The kernel keeps the handle until release. When it will not (the caller was interrupted), release
// it here.
absl::Status FillOpen(const Request& request, std::unique_ptr<FileHandle> handle,
                      fuse_file_info* fi) {
  handle->no_atime = (fi->flags & O_NOATIME) != 0;
  fi->keep_cache = handle->keep_cache ? 1 : 0;
  // An append goes to the end that the file has then, which the kernel may not know: its bytes must
  // not lie in the kernel's pages at the place where it thinks that they are.
  fi->direct_io = handle->append ? 1 : 0;
  auto number = request.handles().AddFile(handle, request.repeatable());
  if (!number.ok()) {
    request.fs().Release(std::move(handle));
    return number.status();
  }
  fi->fh = *number;
  return absl::OkStatus();
}

void Create(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, fuse_file_info* fi) {
  Request request(req);
  if (std::strlen(name) > kNameLimit) {
    return request.Reply(PosixError(ENAMETOOLONG, "name too long"));
  }
  if (request.NeedsGroups(mode)) request.AddGroups();
  auto created = request.fs().Create({request.Ino(parent), name}, mode, FlagsOf(fi), request.op());
  if (ErrnoOf(created.status()) == EACCES && request.AddGroups()) {
    // The name came up meanwhile; perhaps one of the caller's groups lets him in.
    created = request.fs().Create({request.Ino(parent), name}, mode, FlagsOf(fi), request.op());
  }
  if (!created.ok()) {
    request.handles().CloseUntold(request.repeatable());
    return request.Reply(created.status());
  }
  absl::Status filled = FillOpen(request, std::move(created->handle), fi);
  if (!filled.ok()) return request.Reply(filled);
  HandleTable& handles = request.handles();
  const MountContext& mount = request.mount();
  const fuse_entry_param param = ToEntryParam(mount, created->entry, /*name_cached=*/false);
  const int sent = fuse_reply_create(request.Finish(), &param, fi);
  if (sent == -ENOENT) handles.RemoveFile(fi->fh);
}

void Open(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi) {
  Request request(req);
  if ((fi->flags & O_TRUNC) != 0) request.AddGroups();  // set-group-id may go
  auto opened = request.fs().Open(request.Ino(ino), FlagsOf(fi), request.op());
  if (!opened.ok()) {
    request.handles().CloseUntold(request.repeatable());
    return request.Reply(opened.status());
  }
  absl::Status filled = FillOpen(request, std::move(*opened), fi);
  if (!filled.ok()) return request.Reply(filled);
  if (fuse_reply_open(request.Finish(), fi) == -ENOENT) request.handles().RemoveFile(fi->fh);
}

// A thread's buffer, kept: fresh memory for each megabyte would cost a page fault every 4 KiB, and
// RDMA a registration.
struct ReadBuffer {
  net::PayloadBuffer memory;
  absl::Span<char> Get(size_t wanted) {
    if (wanted > memory.size()) memory = net::PayloadBuffer::Allocate(wanted);
    return memory.span().first(wanted);
  }
};

void Read(fuse_req_t req, fuse_ino_t, size_t size, off_t offset, fuse_file_info* fi) {
  thread_local ReadBuffer buffer;
  Request request(req);
  auto handle = request.File(fi);
  if (!handle.ok()) return request.Reply(handle.status());
  if ((fi->flags & O_DIRECT) != 0) request.EndWithCaller();
  absl::Span<char> into = buffer.Get(size);
  auto n = request.fs().Read(**handle, static_cast<uint64_t>(offset), into, request.op());
  if (!n.ok()) return request.Reply(n.status());
  request.ReplyData({into.data(), *n});
}

void Write(fuse_req_t req, fuse_ino_t, const char* data, size_t size, off_t offset,
           fuse_file_info* fi) {
  Request request(req);
  absl::Status lost = request.handles().TakeLoss(fi->fh);
  if (!lost.ok()) return request.Reply(lost);
  auto handle = request.File(fi);
  if (!handle.ok()) return request.Reply(handle.status());
  if ((fi->flags & O_DIRECT) != 0) request.EndWithCaller();
  if (!fi->writepage) {
    absl::Status cleared = request.BeforeChange(**handle);
    if (!cleared.ok()) return request.Reply(cleared);
  }
  OpContext op = request.op();
  if (fi->writepage) op.thread = 0;  // a page of a shared mapping: the kernel's thread writes it
  // Before, since the bytes may be lost from the call on; after, since all before may be settled.
  request.handles().NoteWrite(fi->fh);
  absl::Status status =
      request.fs().Write(**handle, static_cast<uint64_t>(offset), {data, size}, op);
  request.handles().NoteWrite(fi->fh);
  if (!status.ok()) return request.Reply(status);
  fuse_reply_write(request.Finish(), size);
}

void Flush(fuse_req_t req, fuse_ino_t, fuse_file_info* fi) {
  Request request(req);
  request.EndWithCaller();
  auto handle = request.File(fi);
  if (!handle.ok()) return request.Reply(handle.status());
  absl::Status status = request.fs().Flush(**handle, request.op());
  request.handles().Settle(fi->fh);
  // After the bytes: who gets the lock next must see them.
  request.fs().ReleaseOwner(**handle, fi->lock_owner);
  // Left for the others that have it open, as in FileSystem::Flush.
  if (status.ok() && (*handle)->write) status = request.handles().PeekLoss(fi->fh);
  request.Reply(status);
}

void Fsync(fuse_req_t req, fuse_ino_t, int, fuse_file_info* fi) {
  Request request(req);
  auto handle = request.File(fi);
  if (!handle.ok()) return request.Reply(handle.status());
  absl::Status status = request.fs().Fsync(**handle, request.op());
  request.handles().Settle(fi->fh);
  if (status.ok()) status = request.handles().TakeLoss(fi->fh);
  request.Reply(status);
}

void Release(fuse_req_t req, fuse_ino_t, fuse_file_info* fi) {
  Request request(req);
  request.handles().RemoveFile(fi->fh);
  request.Reply(absl::OkStatus());
}

void Fallocate(fuse_req_t req, fuse_ino_t, int mode, off_t offset, off_t length,
               fuse_file_info* fi) {
  Request request(req);
  auto handle = request.File(fi);
  if (!handle.ok()) return request.Reply(handle.status());
  request.handles().NoteWrite(fi->fh);
  absl::Status status = request.BeforeChange(**handle);
  if (status.ok()) {
    status = request.fs().Fallocate(**handle, mode, static_cast<uint64_t>(offset),
                                    static_cast<uint64_t>(length), request.op());
  }
  request.handles().NoteWrite(fi->fh);
  request.Reply(status);
}

void Lseek(fuse_req_t req, fuse_ino_t, off_t offset, int whence, fuse_file_info* fi) {
  Request request(req);
  auto handle = request.File(fi);
  if (!handle.ok()) return request.Reply(handle.status());
  auto at = request.fs().Seek(**handle, static_cast<uint64_t>(offset), whence, request.op());
  if (!at.ok()) return request.Reply(at.status());
  fuse_reply_lseek(request.Finish(), static_cast<off_t>(*at));
}

void CopyFileRange(fuse_req_t req, fuse_ino_t, off_t offset_in, fuse_file_info* in, fuse_ino_t,
                   off_t offset_out, fuse_file_info* out, size_t length, int) {
  Request request(req);
  auto from = request.File(in);
  if (!from.ok()) return request.Reply(from.status());
  auto to = request.File(out);
  if (!to.ok()) return request.Reply(to.status());
  absl::Status cleared = request.BeforeChange(**to);
  if (!cleared.ok()) return request.Reply(cleared);
  request.handles().NoteWrite(out->fh);
  auto n = request.fs().CopyFileRange({.from = *from,
                                       .from_offset = static_cast<uint64_t>(offset_in),
                                       .to = *to,
                                       .to_offset = static_cast<uint64_t>(offset_out),
                                       .length = length},
                                      request.op());
  request.handles().NoteWrite(out->fh);
  if (!n.ok()) return request.Reply(n.status());
  fuse_reply_write(request.Finish(), *n);
}

}  // namespace

void AddFileOperations(fuse_lowlevel_ops* ops) {
  ops->create = Create;
  ops->open = Open;
  ops->read = Read;
  ops->write = Write;
  ops->flush = Flush;
  ops->fsync = Fsync;
  ops->release = Release;
  ops->fallocate = Fallocate;
  ops->lseek = Lseek;
  ops->copy_file_range = CopyFileRange;
}

}  // namespace penstock::client

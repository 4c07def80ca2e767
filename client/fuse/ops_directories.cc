// opendir, readdir, readdirplus, releasedir, fsyncdir.
#include <fcntl.h>

#include <memory>
#include <vector>

#include "client/fuse/operations.h"
#include "client/fuse/request.h"
#include "common/status.h"

namespace penstock::client {
namespace {

void Opendir(fuse_req_t req, fuse_ino_t ino, fuse_file_info* fi) {
  Request request(req);
  HandleTable& handles = request.handles();
  std::unique_ptr<DirectoryReader> reader = request.fs().OpenDirectory(request.Ino(ino));
  if ((fi->flags & O_NOATIME) != 0) reader->SetNoAtime();
  auto number = handles.AddDirectory(std::move(reader), request.repeatable());
  if (!number.ok()) return request.Reply(number.status());
  fi->fh = *number;
  if (fuse_reply_open(request.Finish(), fi) == -ENOENT) handles.RemoveDirectory(*number);
}

// An entry whose attributes are not at hand gets node id 0: the kernel takes its name only.
fuse_entry_param PlusParam(const MountContext& mount, const ListedEntry& listed) {
  if (listed.entry.attr().ino() != 0) return ToEntryParam(mount, listed.entry, false);
  fuse_entry_param param = {};
  param.attr.st_ino = listed.ino.value();
  param.attr.st_mode = listed.type;
  return param;
}

void List(fuse_req_t req, size_t size, off_t offset, fuse_file_info* fi, bool plus) {
  Request request(req);
  auto reader = request.Directory(fi);
  if (!reader.ok()) return request.Reply(reader.status());
  auto entries = (*reader)->After(static_cast<uint64_t>(offset), plus, request.op());
  if (!entries.ok()) return request.Reply(entries.status());
  request.fs().NoteDirectoryRead(**reader, request.op());
  std::vector<char> buffer(size);
  size_t used = 0;
  for (const ListedEntry& listed : *entries) {
    const fuse_entry_param param = PlusParam(request.mount(), listed);
    const off_t next = static_cast<off_t>(listed.cookie);
    struct stat st = {};
    st.st_ino = listed.ino.value();
    st.st_mode = listed.type;
    char* at = buffer.data() + used;
    const size_t n =
        plus ? fuse_add_direntry_plus(req, at, size - used, listed.name.c_str(), &param, next)
             : fuse_add_direntry(req, at, size - used, listed.name.c_str(), &st, next);
    if (n > size - used) break;
    used += n;
  }
  request.ReplyData({buffer.data(), used});
}

void Readdir(fuse_req_t req, fuse_ino_t, size_t size, off_t offset, fuse_file_info* fi) {
  List(req, size, offset, fi, false);
}

void Readdirplus(fuse_req_t req, fuse_ino_t, size_t size, off_t offset, fuse_file_info* fi) {
  List(req, size, offset, fi, true);
}

void Releasedir(fuse_req_t req, fuse_ino_t, fuse_file_info* fi) {
  Request request(req);
  request.handles().RemoveDirectory(fi->fh);
  request.Reply(absl::OkStatus());
}

void Fsyncdir(fuse_req_t req, fuse_ino_t, int, fuse_file_info*) {
  Request request(req);
  request.Reply(request.fs().SyncMetadata(request.op()));
}

}  // namespace

void AddDirectoryOperations(fuse_lowlevel_ops* ops) {
  ops->opendir = Opendir;
  ops->readdir = Readdir;
  ops->readdirplus = Readdirplus;
  ops->releasedir = Releasedir;
  ops->fsyncdir = Fsyncdir;
}

}  // namespace penstock::client

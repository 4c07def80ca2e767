// lookup, forget, mknod, mkdir, unlink, rmdir, symlink, readlink, link, rename.
#include <cerrno>
#include <cstring>

#include "client/fuse/operations.h"
#include "client/fuse/request.h"
#include "common/status.h"

namespace penstock::client {
namespace {

bool TooLong(const char* name) { return std::strlen(name) > kNameLimit; }

absl::Status NameTooLong() { return PosixError(ENAMETOOLONG, "name too long"); }

void Lookup(fuse_req_t req, fuse_ino_t parent, const char* name) {
  Request request(req);
  if (TooLong(name)) return request.Reply(NameTooLong());
  request.Reply(request.fs().Lookup({request.Ino(parent), name}, request.op()));
}

// Nothing here is counted by lookups: an inode is known by its number.
void Forget(fuse_req_t req, fuse_ino_t, uint64_t) { fuse_reply_none(req); }
void ForgetMulti(fuse_req_t req, size_t, fuse_forget_data*) { fuse_reply_none(req); }

void Mknod(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, dev_t rdev) {
  Request request(req);
  if (TooLong(name)) return request.Reply(NameTooLong());
  if (request.NeedsGroups(mode)) request.AddGroups();
  request.Reply(request.fs().Mknod({request.Ino(parent), name}, mode, rdev, request.op()));
}

void Mkdir(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode) {
  Request request(req);
  if (TooLong(name)) return request.Reply(NameTooLong());
  request.Reply(request.fs().Mkdir({request.Ino(parent), name}, mode, request.op()));
}

void Unlink(fuse_req_t req, fuse_ino_t parent, const char* name) {
  Request request(req);
  request.Reply(request.fs().Unlink({request.Ino(parent), name}, request.op()));
}

void Rmdir(fuse_req_t req, fuse_ino_t parent, const char* name) {
  Request request(req);
  request.Reply(request.fs().Rmdir({request.Ino(parent), name}, request.op()));
}

void Symlink(fuse_req_t req, const char* target, fuse_ino_t parent, const char* name) {
  Request request(req);
  if (TooLong(name)) return request.Reply(NameTooLong());
  request.Reply(request.fs().Symlink({request.Ino(parent), name}, target, request.op()));
}

void Readlink(fuse_req_t req, fuse_ino_t ino) {
  Request request(req);
  auto target = request.fs().Readlink(request.Ino(ino), request.op());
  if (!target.ok()) return request.Reply(target.status());
  fuse_reply_readlink(request.Finish(), target->c_str());
}

void Link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char* name) {
  Request request(req);
  if (TooLong(name)) return request.Reply(NameTooLong());
  request.Reply(request.fs().Link(request.Ino(ino), {request.Ino(parent), name}, request.op()));
}

void Rename(fuse_req_t req, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
            const char* new_name, unsigned int flags) {
  Request request(req);
  if (TooLong(new_name)) return request.Reply(NameTooLong());
  request.Reply(request.fs().Rename({request.Ino(parent), name},
                                    {request.Ino(new_parent), new_name}, flags, request.op()));
}

}  // namespace

void AddNameOperations(fuse_lowlevel_ops* ops) {
  ops->lookup = Lookup;
  ops->forget = Forget;
  ops->forget_multi = ForgetMulti;
  ops->mknod = Mknod;
  ops->mkdir = Mkdir;
  ops->unlink = Unlink;
  ops->rmdir = Rmdir;
  ops->symlink = Symlink;
  ops->readlink = Readlink;
  ops->link = Link;
  ops->rename = Rename;
}

}  // namespace penstock::client

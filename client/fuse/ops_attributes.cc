// getattr, setattr, statfs, and extended attributes.
#include <cerrno>

#include "client/acl_names.h"
#include "client/fuse/operations.h"
#include "client/fuse/request.h"
#include "common/status.h"

namespace penstock::client {
namespace {

constexpr uint32_t kBlockBytes = 4096;  // of statfs

wire::Time ToWire(const timespec& time) {
  wire::Time wire;
  wire.set_seconds(time.tv_sec);
  wire.set_nanos(static_cast<uint32_t>(time.tv_nsec));
  return wire;
}

wire::SetattrRequest ToSetattr(InodeNumber ino, const struct stat& attr, int to_set) {
  wire::SetattrRequest set;
  uint32_t fields = 0;
  auto take = [&](int flag, wire::SetattrField field) {
    if ((to_set & flag) == 0) return false;
    fields |= field;
    return true;
  };
  set.set_ino(ino.value());
  if (take(FUSE_SET_ATTR_MODE, wire::SETATTR_MODE)) set.set_mode(attr.st_mode);
  if (take(FUSE_SET_ATTR_UID, wire::SETATTR_UID)) set.set_uid(attr.st_uid);
  if (take(FUSE_SET_ATTR_GID, wire::SETATTR_GID)) set.set_gid(attr.st_gid);
  if (take(FUSE_SET_ATTR_SIZE, wire::SETATTR_SIZE)) {
    set.set_size(static_cast<uint64_t>(attr.st_size));
  }
  if (take(FUSE_SET_ATTR_CTIME, wire::SETATTR_CTIME)) *set.mutable_ctime() = ToWire(attr.st_ctim);
  if (!take(FUSE_SET_ATTR_ATIME_NOW, wire::SETATTR_ATIME_NOW) &&
      take(FUSE_SET_ATTR_ATIME, wire::SETATTR_ATIME)) {
    *set.mutable_atime() = ToWire(attr.st_atim);
  }
  if (!take(FUSE_SET_ATTR_MTIME_NOW, wire::SETATTR_MTIME_NOW) &&
      take(FUSE_SET_ATTR_MTIME, wire::SETATTR_MTIME)) {
    *set.mutable_mtime() = ToWire(attr.st_mtim);
  }
  set.set_fields(fields);
  return set;
}

void Getattr(fuse_req_t req, fuse_ino_t node, fuse_file_info*) {
  Request request(req);
  KernelMemory& memory = *request.mount().memory;
  const InodeNumber ino = request.Ino(node);
  const uint64_t begun = memory.BeginAttributes(ino);
  const auto entry = request.fs().Getattr(ino, request.op());
  if (!entry.ok()) return request.Reply(entry.status());
  request.ReplyAttr(*entry, memory.AttributesFor(ino, begun, entry->leased_by() != 0));
}

void Setattr(fuse_req_t req, fuse_ino_t ino, struct stat* attr, int to_set, fuse_file_info*) {
  Request request(req);
  // Whether set-group-id may stay depends on the caller's groups.
  const bool cuts = (to_set & FUSE_SET_ATTR_SIZE) != 0 && request.op().credentials.uid() != 0;
  const bool gives = (to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) != 0;
  const bool sets = (to_set & FUSE_SET_ATTR_MODE) != 0 && (attr->st_mode & S_ISGID) != 0;
  if (cuts || gives || sets) request.AddGroups();
  wire::SetattrRequest set = ToSetattr(request.Ino(ino), *attr, to_set);
  if (cuts) set.set_fields(set.fields() | wire::SETATTR_KILL_SUIDGID);
  const auto entry = request.fs().Setattr(std::move(set), request.op());
  if (!entry.ok()) return request.Reply(entry.status());
  request.ReplyAttr(*entry, absl::ZeroDuration());
}

void Statfs(fuse_req_t req, fuse_ino_t) {
  Request request(req);
  auto space = request.fs().Statfs(request.op());
  if (!space.ok()) return request.Reply(space.status());
  struct statvfs st = {};
  st.f_bsize = kBlockBytes;
  st.f_frsize = kBlockBytes;
  st.f_blocks = space->total_bytes() / kBlockBytes;
  st.f_bfree = space->free_bytes() / kBlockBytes;
  st.f_bavail = space->available_bytes() / kBlockBytes;
  st.f_files = space->inodes() + space->inodes_free();
  st.f_ffree = space->inodes_free();
  st.f_favail = space->inodes_free();
  st.f_namemax = kNameLimit;
  fuse_reply_statfs(request.Finish(), &st);
}

void ReplyXattr(Request& request, std::string_view value, size_t size) {
  if (size == 0) {
    fuse_reply_xattr(request.Finish(), value.size());
  } else if (value.size() > size) {
    request.Reply(PosixError(ERANGE, "buffer too small"));
  } else {
    request.ReplyData(value);
  }
}

void Getxattr(fuse_req_t req, fuse_ino_t ino, const char* name, size_t size) {
  Request request(req);
  if (IsAcl(name)) request.mount().memory->GiveAccessList(request.Ino(ino));
  auto value = request.fs().Getxattr(request.Ino(ino), name, request.op());
  if (!value.ok()) return request.Reply(value.status());
  ReplyXattr(request, *value, size);
}

void Listxattr(fuse_req_t req, fuse_ino_t ino, size_t size) {
  Request request(req);
  auto names = request.fs().Listxattr(request.Ino(ino), request.op());
  if (!names.ok()) return request.Reply(names.status());
  std::string list;
  for (const std::string& name : *names) list.append(name).push_back('\0');
  ReplyXattr(request, list, size);
}

void Setxattr(fuse_req_t req, fuse_ino_t ino, const char* name, const char* value, size_t size,
              int flags) {
  Request request(req);
  wire::SetxattrRequest set;
  set.set_ino(request.Ino(ino).value());
  set.set_name(name);
  set.set_value(value, size);
  set.set_flags(static_cast<uint32_t>(flags));
  if (set.name() == kAccessAcl)
    request.AddGroups();  // set-group-id goes for one outside of the group
  request.Reply(request.fs().Setxattr(std::move(set), request.op()));
}

void Removexattr(fuse_req_t req, fuse_ino_t ino, const char* name) {
  Request request(req);
  request.Reply(request.fs().Removexattr(request.Ino(ino), name, request.op()));
}

}  // namespace

void AddAttributeOperations(fuse_lowlevel_ops* ops) {
  ops->getattr = Getattr;
  ops->setattr = Setattr;
  ops->statfs = Statfs;
  ops->getxattr = Getxattr;
  ops->listxattr = Listxattr;
  ops->setxattr = Setxattr;
  ops->removexattr = Removexattr;
}

}  // namespace penstock::client

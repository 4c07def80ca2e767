#include <cerrno>

#include "common/status.h"
#include "metaserver/ops/acl_records.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/ops/new_name.h"
#include "metaserver/ops/open_file.h"

namespace penstock::metaserver {
namespace {

absl::Status CreateNew(Mutation& m, const wire::CreateRequest& request, const Inode& parent,
                       wire::CreateResponse& response) {
  const WantedMode wanted{S_IFREG | (request.mode() & 07777), request.umask()};
  ASSIGN_OR_RETURN(Inode inode, NewInodeBelow(m, parent, wanted));
  inode.nlink = 1;
  RETURN_IF_ERROR(m.GiveContent(inode));
  AddName(m, parent, request.name(), inode);
  RETURN_IF_ERROR(OpenInode(m, inode, {request.write(), /*truncate=*/false}));
  response.set_created(true);
  m.view().FillEntry(inode, *response.mutable_entry());
  return absl::OkStatus();
}

// The name came up after the kernel had found none, so the kernel checked nothing.
absl::Status CheckFound(const Mutation& m, const wire::CreateRequest& request, const Inode& inode) {
  if (request.exclusive()) return PosixError(EEXIST, "the name exists");
  if (inode.is_directory()) return PosixError(EISDIR, "the name is a directory");
  // A symbolic link to be followed, a FIFO to be waited for: on ESTALE the kernel looks up again.
  if (!inode.is_regular()) return PosixError(ESTALE, "the name is no regular file");
  uint32_t wanted = 0;
  if (request.read()) wanted |= kMayRead;
  if (request.write() || request.truncate()) wanted |= kMayWrite;
  return CheckAccess(m, inode, wanted);
}

}  // namespace

// open(O_CREAT): makes the file, or opens the one that is there.
absl::Status Create(Mutation& m, const wire::CreateRequest& request,
                    wire::CreateResponse& response) {
  const InodeNumber parent(request.parent());
  const std::string& name = request.name();
  if (name == "." || name == "..") return PosixError(EISDIR, "'.' and '..' are directories");
  RETURN_IF_ERROR(CheckName(name));
  m.locks().LockNames({{parent, name}});
  // The name is locked, so what it names cannot change any more.
  auto dentry = m.view().GetDentry(parent, name);
  if (!dentry.ok() && ErrnoOf(dentry.status()) != ENOENT) return dentry.status();
  if (!dentry.ok()) {
    m.locks().LockInodes({{parent, false}});
    ASSIGN_OR_RETURN(const Inode directory, m.view().GetDirectory(parent));
    return CreateNew(m, request, directory, response);
  }
  const InodeNumber ino(parent.dataset(), dentry->local);
  m.locks().LockInodes({{parent, false}, {ino, true}});
  ASSIGN_OR_RETURN(Inode inode, m.view().GetInode(ino));
  RETURN_IF_ERROR(CheckFound(m, request, inode));
  RETURN_IF_ERROR(OpenInode(m, inode, {request.write(), request.truncate()}));
  FillOpened(m, inode, request.write(), *response.mutable_entry());
  return absl::OkStatus();
}

}  // namespace penstock::metaserver

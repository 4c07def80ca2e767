// create: a new file, opened. One call; the metaserver enters this session as its writer.
#include <absl/time/clock.h>

#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {

absl::StatusOr<CreatedFile> FileSystem::Create(EntryName name, uint32_t mode, OpenFlags flags,
                                               const OpContext& op) {
  wire::CreateRequest request;
  request.set_parent(name.parent.value());
  request.set_name(std::string(name.name));
  request.set_mode(mode);
  request.set_umask(op.umask);
  request.set_exclusive(flags.exclusive);
  request.set_truncate(flags.truncate);
  request.set_read(flags.read);
  request.set_write(flags.write);
  ASSIGN_OR_RETURN(wire::CreateResponse response,
                   meta_->Mutate<wire::CreateResponse>(wire::METHOD_CREATE, request, op));
  const InodeNumber ino(response.entry().attr().ino());
  holds_->Hold(ino, flags.write);
  CreatedFile created;
  std::shared_ptr<Inode> inode = inodes_.GetOrMake(ino);
  inode->Pin();
  created.handle = MakeHandle(std::move(inode), response.entry(), flags.write);
  absl::MutexLock lock(&created.handle->inode->mu);
  // The kernel asks for it before the first write.
  if (response.created()) created.handle->inode->no_capability_at = absl::Now();
  created.entry = created.handle->inode->Merged();
  return created;
}

}  // namespace penstock::client

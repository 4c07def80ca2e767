// create: a new file, opened. One call; the metaserver enters this session as its writer.
#include <absl/time/clock.h>

#include <cerrno>

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
  request.mutable_context()->set_hold_version(holds_->version());
  const uint64_t token = cache_->token();
  CacheChange change(cache_, {{name.parent, request.name()}}, {name.parent});
  change.Declare(request);
  auto answer = meta_->Mutate<wire::CreateResponse>(wire::METHOD_CREATE, request, op);
  if (ReasonOf(answer.status()) == Reason::kFileShared) return OpenExisting(name, flags, op);
  RETURN_IF_ERROR(answer.status());
  wire::CreateResponse response = *std::move(answer);
  const InodeNumber ino(response.entry().attr().ino());
  if (op.request != nullptr && op.request->answer_is_old) return OpenCreated(ino, flags, op);
  // Told of before anything that happens to the file now: it is among what is held.
  holds_->Hold(ino, flags.write);
  change.IsHere(0, ino, response.entry().attr().mode());
  if (response.created()) change.IsNow(response.entry());
  CreatedFile created;
  std::shared_ptr<Inode> inode = inodes_.GetOrMake(ino);
  inode->Pin();
  {
    // Others may have found it already; what the metaserver said of it then may be on its way.
    absl::MutexLock lock(&inode->mu);
    inode->shared = inode->shared || response.entry().shared();
    inode->stale = inode->stale || cache_->DroppedSince(token, ino);
  }
  created.handle = MakeHandle(std::move(inode), response.entry(), flags.write);
  created.handle->append = flags.append;
  absl::MutexLock lock(&created.handle->inode->mu);
  // The kernel asks for it before the first write.
  if (response.created()) created.handle->inode->no_capability_at = absl::Now();
  created.entry = created.handle->inode->Merged();
  created.entry.set_leased_by(0);
  return created;
}

// An earlier client made it, and died. The answer is of then: the file is opened as it is now,
// which its maker may, whatever its mode.
absl::StatusOr<CreatedFile> FileSystem::OpenCreated(InodeNumber ino, OpenFlags flags,
                                                    const OpContext& op) {
  OpContext root;
  root.interrupt = op.interrupt;
  flags.truncate = flags.exclusive = false;
  CreatedFile opened;
  ASSIGN_OR_RETURN(opened.handle, Open(ino, flags, root));
  absl::MutexLock lock(&opened.handle->inode->mu);
  opened.entry = opened.handle->inode->Merged();
  opened.entry.set_leased_by(0);
  return opened;
}

// The file is there after all, others write it, and it is to be emptied: that takes its turn.
absl::StatusOr<CreatedFile> FileSystem::OpenExisting(EntryName name, OpenFlags flags,
                                                     const OpContext& op) {
  ASSIGN_OR_RETURN(Looked found, Lookup(name, op));
  if (found.entry.attr().ino() == 0) return PosixError(ENOENT, "the file was removed");
  CreatedFile opened;
  ASSIGN_OR_RETURN(opened.handle, Open(InodeNumber(found.entry.attr().ino()), flags, op));
  absl::MutexLock lock(&opened.handle->inode->mu);
  opened.entry = opened.handle->inode->Merged();
  opened.entry.set_leased_by(0);
  return opened;
}

}  // namespace penstock::client

// rename. A program that saves by rename must never end with an empty file after a power cut, so
// what was written here to the source is synced before it replaces another file.
#include <cerrno>

#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {

absl::Status FileSystem::SyncBeforeReplace(EntryName from, EntryName to, const OpContext& op) {
  // The kernel has just looked up both names, so this rarely asks.
  auto find = [&](EntryName name) -> absl::StatusOr<InodeNumber> {
    auto found = lookups_.Peek(op.thread, name.parent, name.name);
    if (found) return found->entry ? InodeNumber(found->entry->attr().ino()) : InodeNumber();
    auto entry = Lookup(name, op);
    if (entry.ok()) return InodeNumber(entry->attr().ino());
    if (ErrnoOf(entry.status()) == ENOENT) return InodeNumber();
    return entry.status();
  };
  ASSIGN_OR_RETURN(InodeNumber source, find(from));
  if (!HasUnsynced(source)) return absl::OkStatus();
  ASSIGN_OR_RETURN(InodeNumber target, find(to));
  if (!target.valid() || target == source) return absl::OkStatus();
  std::shared_ptr<Inode> inode = inodes_.Find(source);
  if (inode == nullptr) return absl::OkStatus();
  return Annotate(writer_->Flush(inode, FlushMode::kDurableBytes, op), "sync before rename");
}

absl::Status FileSystem::Rename(EntryName from, EntryName to, uint32_t flags, const OpContext& op) {
  if ((flags & ~uint32_t{wire::RENAME_FLAG_NOREPLACE | wire::RENAME_FLAG_EXCHANGE}) != 0) {
    return PosixError(EINVAL, "rename: unknown flags");
  }
  if ((flags & wire::RENAME_FLAG_NOREPLACE) == 0) {
    RETURN_IF_ERROR(SyncBeforeReplace(from, to, op));
  }
  wire::RenameRequest request;
  request.set_parent(from.parent.value());
  request.set_name(std::string(from.name));
  request.set_new_parent(to.parent.value());
  request.set_new_name(std::string(to.name));
  request.set_flags(flags);
  ASSIGN_OR_RETURN(wire::RenameResponse response,
                   meta_->Mutate<wire::RenameResponse>(wire::METHOD_RENAME, request, op));
  if (response.moved().attr().ino() != 0) inodes_.Absorb(response.moved());
  if (response.replaced().attr().ino() != 0) inodes_.Absorb(response.replaced());
  return absl::OkStatus();
}

}  // namespace penstock::client

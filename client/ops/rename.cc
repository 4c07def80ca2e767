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
    ASSIGN_OR_RETURN(Looked looked, Lookup(name, op));
    return InodeNumber(looked.entry.attr().ino());
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
  absl::Status renamed = RenameThere(from, to, flags, op);
  // Linux moves what it remembers of a name along with the time for which it may. Where this mount
  // has no lease nobody will say what becomes of the name, so all are looked up anew.
  const bool exchanged = (flags & wire::RENAME_FLAG_EXCHANGE) != 0;
  const bool told = cache_->Holds(to.parent) && (!exchanged || cache_->Holds(from.parent));
  if (renamed.ok() && !told && kernel_ != nullptr) kernel_->DropNames();
  return renamed;
}

absl::Status FileSystem::RenameThere(EntryName from, EntryName to, uint32_t flags,
                                     const OpContext& op) {
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
  std::vector<InodeNumber> changed{from.parent, to.parent};
  for (EntryName name : {from, to}) {
    auto found = lookups_.Peek(op.thread, name.parent, name.name);
    if (found && found->entry) changed.push_back(InodeNumber(found->entry->attr().ino()));
  }
  CacheChange change(cache_, {{from.parent, request.name()}, {to.parent, request.new_name()}},
                     std::move(changed));
  change.Declare(request);
  lookups_.EndCall(op.thread);
  ASSIGN_OR_RETURN(wire::RenameResponse response,
                   meta_->Mutate<wire::RenameResponse>(wire::METHOD_RENAME, request, op));
  // Two names of one file: nothing happened, and both are there.
  const bool same = response.moved().attr().ino() == response.replaced().attr().ino();
  if ((flags & wire::RENAME_FLAG_EXCHANGE) == 0 && !same) {
    change.IsAbsent(0);
    change.IsHere(1, InodeNumber(response.moved().attr().ino()), response.moved().attr().mode());
  }
  if (response.moved().attr().ino() != 0) inodes_.Absorb(response.moved());
  if (response.replaced().attr().ino() != 0) inodes_.Absorb(response.replaced());
  return absl::OkStatus();
}

}  // namespace penstock::client

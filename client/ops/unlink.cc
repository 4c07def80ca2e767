// unlink and rmdir. A file that is open here is named as held, so that it lives on in the same
// batch.
#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {

absl::Status FileSystem::Unlink(EntryName name, const OpContext& op) {
  wire::UnlinkRequest request;
  request.set_parent(name.parent.value());
  request.set_name(std::string(name.name));
  std::vector<InodeNumber> changed{name.parent};
  // The kernel has just looked the name up; when not, the metaserver tells us of the inode.
  auto found = lookups_.Peek(op.thread, name.parent, name.name);
  if (found && found->entry) {
    const InodeNumber ino(found->entry->attr().ino());
    changed.push_back(ino);
    if (holds_->holds(ino)) request.set_held_inode(ino.value());
  }
  CacheChange change(cache_, {{name.parent, request.name()}}, std::move(changed));
  change.Declare(request);
  lookups_.EndCall(op.thread);
  ASSIGN_OR_RETURN(wire::UnlinkResponse response,
                   meta_->Mutate<wire::UnlinkResponse>(wire::METHOD_UNLINK, request, op));
  change.IsAbsent(0);
  if (response.has_removed()) inodes_.Absorb(response.removed());
  return absl::OkStatus();
}

absl::Status FileSystem::Rmdir(EntryName name, const OpContext& op) {
  wire::RmdirRequest request;
  request.set_parent(name.parent.value());
  request.set_name(std::string(name.name));
  std::vector<InodeNumber> changed{name.parent};
  auto found = lookups_.Peek(op.thread, name.parent, name.name);
  if (found && found->entry) changed.push_back(InodeNumber(found->entry->attr().ino()));
  CacheChange change(cache_, {{name.parent, request.name()}}, std::move(changed));
  change.Declare(request);
  lookups_.EndCall(op.thread);
  RETURN_IF_ERROR(meta_->Mutate<wire::RmdirResponse>(wire::METHOD_RMDIR, request, op).status());
  change.IsAbsent(0);
  return absl::OkStatus();
}

}  // namespace penstock::client

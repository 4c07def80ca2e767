// mkdir, mknod, symlink, link: a new name.
#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {

absl::StatusOr<wire::Entry> FileSystem::Mkdir(EntryName name, uint32_t mode, const OpContext& op) {
  wire::MkdirRequest request;
  request.set_parent(name.parent.value());
  request.set_name(std::string(name.name));
  request.set_mode(mode);
  request.set_umask(op.umask);
  ASSIGN_OR_RETURN(wire::EntryResponse response,
                   meta_->Mutate<wire::EntryResponse>(wire::METHOD_MKDIR, request, op));
  return response.entry();
}

absl::StatusOr<wire::Entry> FileSystem::Mknod(EntryName name, uint32_t mode, uint64_t rdev,
                                              const OpContext& op) {
  wire::MknodRequest request;
  request.set_parent(name.parent.value());
  request.set_name(std::string(name.name));
  request.set_mode(mode);
  request.set_umask(op.umask);
  request.set_rdev(rdev);
  ASSIGN_OR_RETURN(wire::EntryResponse response,
                   meta_->Mutate<wire::EntryResponse>(wire::METHOD_MKNOD, request, op));
  return response.entry();
}

absl::StatusOr<wire::Entry> FileSystem::Symlink(EntryName name, std::string_view target,
                                                const OpContext& op) {
  wire::SymlinkRequest request;
  request.set_parent(name.parent.value());
  request.set_name(std::string(name.name));
  request.set_target(std::string(target));
  ASSIGN_OR_RETURN(wire::EntryResponse response,
                   meta_->Mutate<wire::EntryResponse>(wire::METHOD_SYMLINK, request, op));
  return response.entry();
}

absl::StatusOr<wire::Entry> FileSystem::Link(InodeNumber ino, EntryName name, const OpContext& op) {
  wire::LinkRequest request;
  request.set_ino(ino.value());
  request.set_new_parent(name.parent.value());
  request.set_new_name(std::string(name.name));
  ASSIGN_OR_RETURN(wire::EntryResponse response,
                   meta_->Mutate<wire::EntryResponse>(wire::METHOD_LINK, request, op));
  return inodes_.Absorb(response.entry());
}

}  // namespace penstock::client

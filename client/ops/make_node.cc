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
  return MakeName(name, wire::METHOD_MKDIR, std::move(request), op);
}

absl::StatusOr<wire::Entry> FileSystem::Mknod(EntryName name, uint32_t mode, uint64_t rdev,
                                              const OpContext& op) {
  wire::MknodRequest request;
  request.set_parent(name.parent.value());
  request.set_name(std::string(name.name));
  request.set_mode(mode);
  request.set_umask(op.umask);
  request.set_rdev(rdev);
  return MakeName(name, wire::METHOD_MKNOD, std::move(request), op);
}

absl::StatusOr<wire::Entry> FileSystem::Symlink(EntryName name, std::string_view target,
                                                const OpContext& op) {
  wire::SymlinkRequest request;
  request.set_parent(name.parent.value());
  request.set_name(std::string(name.name));
  request.set_target(std::string(target));
  return MakeName(name, wire::METHOD_SYMLINK, std::move(request), op);
}

absl::StatusOr<wire::Entry> FileSystem::Link(InodeNumber ino, EntryName name, const OpContext& op) {
  wire::LinkRequest request;
  request.set_ino(ino.value());
  request.set_new_parent(name.parent.value());
  request.set_new_name(std::string(name.name));
  CacheChange change(cache_, {{name.parent, request.new_name()}}, {name.parent, ino});
  change.Declare(request);
  ASSIGN_OR_RETURN(wire::EntryResponse response,
                   meta_->Mutate<wire::EntryResponse>(wire::METHOD_LINK, request, op));
  change.IsHere(0, ino, response.entry().attr().mode());
  response.mutable_entry()->set_leased_by(0);
  return Merge(response.entry());
}

}  // namespace penstock::client

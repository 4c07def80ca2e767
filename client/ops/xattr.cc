// getxattr, listxattr, setxattr, removexattr.
#include <absl/time/clock.h>

#include <cerrno>

#include "client/acl_names.h"
#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {
namespace {
constexpr std::string_view kCapability = "security.capability";
// The kernel asks for a file's capability before every write to it.
constexpr absl::Duration kNoCapabilityFor = absl::Seconds(1);
}  // namespace

// The kernel asks for the access list at each check of permission of another than the owner, right
// after the lookup.
bool FileSystem::KnownWithoutAcl(InodeNumber ino, const OpContext& op) {
  if (const std::optional<wire::Entry> record = cache_->Record(ino)) return !record->has_acl();
  const auto token = lookups_.WithoutAcl(op.thread, ino);
  return token && !cache_->DroppedSince(*token, ino);
}

absl::StatusOr<std::string> FileSystem::Getxattr(InodeNumber ino, std::string_view name,
                                                 const OpContext& op) {
  if (IsAcl(name) && KnownWithoutAcl(ino, op)) {
    return PosixError(ENODATA, "no such attribute");
  }
  std::shared_ptr<Inode> inode = name == kCapability ? inodes_.Find(ino) : nullptr;
  if (inode != nullptr) {
    absl::MutexLock lock(&inode->mu);
    if (absl::Now() - inode->no_capability_at < kNoCapabilityFor) {
      return PosixError(ENODATA, "no such attribute");
    }
  }
  wire::GetxattrRequest request;
  request.set_ino(ino.value());
  request.set_name(std::string(name));
  auto response = meta_->Query<wire::GetxattrResponse>(wire::METHOD_GETXATTR, request, op);
  if (response.ok()) return response->value();
  if (inode != nullptr && ErrnoOf(response.status()) == ENODATA) {
    absl::MutexLock lock(&inode->mu);
    inode->no_capability_at = absl::Now();
  }
  return response.status();
}

absl::StatusOr<std::vector<std::string>> FileSystem::Listxattr(InodeNumber ino,
                                                               const OpContext& op) {
  wire::ListxattrRequest request;
  request.set_ino(ino.value());
  ASSIGN_OR_RETURN(wire::ListxattrResponse response,
                   meta_->Query<wire::ListxattrResponse>(wire::METHOD_LISTXATTR, request, op));
  std::vector<std::string> names;
  for (const std::string& name : response.names()) {
    // The kernel guards their values itself, but lists what it is given.
    if (op.credentials.uid() != 0 && name.starts_with("trusted.")) continue;
    names.push_back(name);
  }
  return names;
}

absl::Status FileSystem::Setxattr(wire::SetxattrRequest request, const OpContext& op) {
  if (std::shared_ptr<Inode> inode = inodes_.Find(InodeNumber(request.ino())); inode != nullptr) {
    absl::MutexLock lock(&inode->mu);
    inode->no_capability_at = absl::InfinitePast();
  }
  const InodeNumber ino(request.ino());
  CacheChange change(cache_, {}, {ino});
  change.Declare(request);
  return meta_->Mutate<wire::EmptyResponse>(wire::METHOD_SETXATTR, std::move(request), op).status();
}

absl::Status FileSystem::Removexattr(InodeNumber ino, std::string_view name, const OpContext& op) {
  wire::RemovexattrRequest request;
  request.set_ino(ino.value());
  request.set_name(std::string(name));
  CacheChange change(cache_, {}, {ino});
  change.Declare(request);
  return meta_->Mutate<wire::EmptyResponse>(wire::METHOD_REMOVEXATTR, request, op).status();
}

absl::Status FileSystem::ClearCapability(const FileHandle& handle, const OpContext& op) {
  const auto capability = Getxattr(handle.inode->ino, kCapability, op);
  if (ErrnoOf(capability.status()) == ENODATA) return absl::OkStatus();
  if (!capability.ok()) return capability.status();
  return Removexattr(handle.inode->ino, kCapability, op);
}

}  // namespace penstock::client

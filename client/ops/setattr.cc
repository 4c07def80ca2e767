// setattr: mode, owner, times, size.
#include <absl/algorithm/container.h>
#include <absl/cleanup/cleanup.h>
#include <sys/stat.h>

#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {
namespace {
constexpr uint32_t kAtime = wire::SETATTR_ATIME | wire::SETATTR_ATIME_NOW;
constexpr uint32_t kTimes = kAtime | wire::SETATTR_MTIME | wire::SETATTR_MTIME_NOW;
}  // namespace

absl::StatusOr<wire::Entry> FileSystem::Setattr(wire::SetattrRequest request, const OpContext& op) {
  const InodeNumber ino(request.ino());
  if ((request.fields() & wire::SETATTR_SIZE) != 0) {
    std::shared_ptr<Inode> inode = inodes_.GetOrMake(ino);
    inode->Pin();
    absl::Cleanup unpin = [&] { inode->Unpin(); };
    bool known = false;
    {
      absl::MutexLock lock(&inode->mu);
      known = inode->known;
    }
    if (!known) {
      ASSIGN_OR_RETURN(wire::Entry entry, FetchEntry(ino, op));
      absl::MutexLock lock(&inode->mu);
      inode->Absorb(entry);
    }
    return SetSize(inode, request, op);
  }
  std::shared_ptr<Inode> inode = inodes_.Find(ino);
  if (inode != nullptr && (request.fields() & kAtime) != 0) {
    RETURN_IF_ERROR(read_times_.Forget(*inode, op));
  }
  if (inode != nullptr && (request.fields() & kTimes) != 0) {
    bool dirty = false;
    {
      absl::MutexLock lock(&inode->mu);
      dirty = inode->dirty();
    }
    // Else the later publish of older bytes would put their time over the one set now.
    if (dirty) RETURN_IF_ERROR(writer_->Flush(inode, FlushMode::kPublish, op));
  }
  CacheChange change(cache_, {}, {ino});
  change.Declare(request);
  ASSIGN_OR_RETURN(wire::SetattrResponse response,
                   meta_->Mutate<wire::SetattrResponse>(wire::METHOD_SETATTR, request, op));
  change.IsNow(response.entry());
  response.mutable_entry()->set_leased_by(0);
  return Merge(response.entry());
}

bool FileSystem::HasSetIds(const FileHandle& handle) const {
  absl::MutexLock lock(&handle.inode->mu);
  return (handle.inode->entry.attr().mode() & (S_ISUID | S_ISGID)) != 0;
}

absl::Status FileSystem::ClearSetIds(const FileHandle& handle, const OpContext& op) {
  wire::Attr attr;
  {
    absl::MutexLock lock(&handle.inode->mu);
    attr = handle.inode->entry.attr();
  }
  const wire::Credentials& caller = op.credentials;
  const bool outside =
      caller.gid() != attr.gid() && !absl::c_linear_search(caller.groups(), attr.gid());
  const bool goes = (attr.mode() & S_ISUID) != 0 || (attr.mode() & S_IXGRP) != 0 || outside;
  if (!goes) return absl::OkStatus();
  wire::SetattrRequest clear;
  clear.set_ino(handle.inode->ino.value());
  clear.set_fields(wire::SETATTR_KILL_SUIDGID);
  return Setattr(std::move(clear), op).status();
}

absl::Status FileSystem::TruncateAnew(InodeNumber ino, const OpContext& op) {
  ASSIGN_OR_RETURN(const wire::Entry entry, FetchEntry(ino, op));
  wire::SetattrRequest same;
  same.set_ino(ino.value());
  same.set_fields(wire::SETATTR_SIZE);
  same.set_size(entry.attr().size());
  return Setattr(same, op).status();
}

absl::StatusOr<wire::Entry> FileSystem::SetSize(const std::shared_ptr<Inode>& inode,
                                                const wire::SetattrRequest& request,
                                                const OpContext& op) {
  RETURN_IF_ERROR(RefreshStale(*inode, op));
  wire::Entry entry;
  RETURN_IF_ERROR(writer_->InTurn(inode, op, [&](const OpContext& mine) -> absl::Status {
    ASSIGN_OR_RETURN(entry, writer_->SetSize(inode, request, mine));
    return absl::OkStatus();
  }));
  entry.set_leased_by(0);
  return entry;
}

}  // namespace penstock::client

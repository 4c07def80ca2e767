#include "client/fuse/kernel_memory.h"

#include <linux/fuse.h>
#include <unistd.h>

#include <algorithm>

#include "client/fuse/caller.h"

namespace penstock::client {
namespace {

constexpr absl::Duration kLongest = absl::Seconds(4);  // DESIGN.md section 7
constexpr int kNotifyIncEpoch = 8;  // FUSE_NOTIFY_INC_EPOCH, not yet in Debian's linux/fuse.h

}  // namespace

absl::Duration KernelMemory::AttributesFor(InodeNumber ino, uint64_t begun, bool leased) {
  if (!leased) return absl::ZeroDuration();
  const absl::Duration time = std::min(kLongest, cache_->ValidFor());
  return given_.Give(ino, begun, time) ? time : absl::ZeroDuration();
}

absl::Duration KernelMemory::NamesFor(bool cached) const {
  if (!cached || !epochs_) return absl::ZeroDuration();
  return std::min(kLongest, cache_->ValidFor());
}

void KernelMemory::DropNames() {
  fuse_session* const session = session_.load();
  if (session == nullptr || !epochs_) return;
  fuse_out_header header = {};
  header.len = sizeof(header);
  header.error = kNotifyIncEpoch;
  // Fails only when the mount is gone, and what it remembers with it.
  (void)!write(fuse_session_fd(session), &header, sizeof(header));
}

void KernelMemory::DropAttributes(InodeNumber ino) {
  if (!given_.Drop(ino)) return;
  fuse_session* const session = session_.load();
  if (session != nullptr) fuse_lowlevel_notify_inval_inode(session, NodeOf(ino), -1, 0);
}

std::optional<RenameCall> KernelMemory::RenameOf(uint64_t thread) {
  return penstock::client::RenameOf(thread);
}

void KernelMemory::DropPages(InodeNumber ino, uint64_t offset, uint64_t length) {
  fuse_session* const session = session_.load();
  if (session == nullptr) return;
  fuse_lowlevel_notify_inval_inode(session, NodeOf(ino), static_cast<off_t>(offset),
                                   static_cast<off_t>(length));
}

}  // namespace penstock::client

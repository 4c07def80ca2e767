// Request is one FUSE request on its way to its one answer: who asks, and the interrupt that ends
// its waits (FUSE_INTERRUPT). Lives on the stack of the thread that got it.
#pragma once

#include "client/fuse/attributes.h"
#include "client/fuse/libfuse.h"
#include "client/fuse/mount_context.h"
#include "client/op_context.h"

namespace penstock::client {

class Request {
 public:
  explicit Request(fuse_req_t req);
  ~Request();
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  const MountContext& mount() const { return *mount_; }
  FileSystem& fs() const { return *mount_->fs; }
  const OpContext& op() const { return op_; }
  InodeNumber Ino(fuse_ino_t node) const { return mount_->ToInode(node); }
  // The open file or directory that the kernel names.
  absl::StatusOr<FileHandle*> File(const fuse_file_info* fi) const;
  absl::StatusOr<DirectoryReader*> Directory(const fuse_file_info* fi) const;
  HandleTable& handles() const { return *mount_->handles; }
  const RepeatableRequest& repeatable() const { return repeatable_; }
  // Adds the caller's supplementary groups, which costs a read of /proc. False: nothing new.
  bool AddGroups();
  // Whether set-group-id of a new inode depends on the caller's groups.
  bool NeedsGroups(mode_t mode) const;
  // Before bytes of the file change: takes from it what the kernel leaves to us. The kernel clears
  // set-id bits by SETATTR before, but neither set-group-id of a file that its group may not
  // execute, which depends on the caller's groups, nor anything before an append, which goes past
  // its pages.
  absl::Status BeforeChange(const FileHandle& handle);
  // For what the kernel does not interrupt (a close, direct I/O): ends its waits when the caller
  // was killed.
  void EndWithCaller();
  fuse_req_t raw() const { return req_; }

  // Exactly one of these ends the request.
  void Reply(const absl::Status& status);  // OK: done without an answer's body
  void Reply(const absl::StatusOr<wire::Entry>& entry);
  void Reply(const absl::StatusOr<Looked>& looked);
  void ReplyAttr(const wire::Entry& entry, absl::Duration kept_for);
  void ReplyData(std::string_view data);
  void ReplyEntry(const wire::Entry& entry, bool name_cached);
  // For the other answers: the request, from here on without interrupts.
  fuse_req_t Finish();

 private:
  fuse_req_t req_;
  const MountContext* mount_;
  LatencyTimer timer_;  // to the end of the thread's work on it
  static void OnInterrupt(fuse_req_t req, void* self);

  RepeatableRequest repeatable_;  // its slot is given back when this ends: after the answer
  OpContext op_;
  net::Interrupt* interrupt_;  // op_.interrupt; the thread's
  bool finished_ = false;
  bool interrupted_ = false;  // written before Finish() returns, under libfuse's lock
  bool ends_with_caller_ = false;
};

}  // namespace penstock::client

// KernelSession is the libfuse session of one mounted file system: negotiates with the kernel,
// serves on many threads.
#pragma once

#include <absl/status/status.h>

#include <utility>
#include <vector>

#include "client/fuse/libfuse.h"
#include "client/fuse/mount_context.h"

namespace penstock::client {

class KernelSession {
 public:
  // `context` must outlive the session.
  explicit KernelSession(const MountContext* context) : context_(context) {}
  ~KernelSession();

  // Greets the kernel, or takes over from a client that died, with the requests it left.
  absl::Status Attach(MountJournal* journal);
  bool resumed() const { return context_->device->resumed(); }  // took over
  // Serves until the unmount or End(); from the thread that will get End()'s wake-up.
  absl::Status Serve();
  // Detaches the mountpoint: no new paths lead there; open files go on.
  void Detach();
  // Makes Serve() return although files are still open.
  void End();
  // Sets the device's read-ahead (root only) once the mount answers.
  void TuneReadAhead() const;
  // Makes the kernel ask again for the attributes of these inodes, where true also for the pages.
  // Waits for requests that Serve() answers.
  void DropCaches(const std::vector<std::pair<InodeNumber, bool>>& inodes) const;

 private:
  const MountContext* const context_;
  fuse_session* session_ = nullptr;
  pthread_t serving_ = {};
};

}  // namespace penstock::client

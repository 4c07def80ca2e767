// KernelSession is the libfuse session of one mountpoint: negotiates with the kernel, mounts,
// serves on many threads, unmounts.
#pragma once

#include <absl/status/status.h>

#include <functional>
#include <string>

#include "client/fuse/libfuse.h"
#include "client/fuse/mount_context.h"

namespace penstock::client {

class KernelSession {
 public:
  // `context` must outlive the session.
  explicit KernelSession(const MountContext* context) : context_(context) {}
  ~KernelSession();

  absl::Status Mount();
  // Serves until the unmount or End(); from the thread that will get End()'s wake-up.
  absl::Status Serve();
  // Detaches the mountpoint: no new paths lead there; open files go on.
  void Detach();
  // Makes Serve() return although files are still open.
  void End();
  // Sets the device's read-ahead (root only) once the mount answers.
  void TuneReadAhead() const;

 private:
  const MountContext* const context_;
  fuse_session* session_ = nullptr;
  bool mounted_ = false;
  pthread_t serving_ = {};
};

}  // namespace penstock::client

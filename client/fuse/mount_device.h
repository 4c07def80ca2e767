// MountDevice mounts the file system and keeps the device open: the supervisor's side. It never
// reads from the device.
#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <vector>

#include "client/fuse/mount.h"

struct fuse_session;

namespace penstock::client {

class MountDevice {
 public:
  static constexpr int kClones = 64;  // one for each thread of the client

  // Mounts at options.mountpoint: as root by mount(2), else through fusermount3.
  static absl::StatusOr<std::unique_ptr<MountDevice>> Mount(const MountOptions& options);
  // Closes the descriptors. Once no client has them either, whoever uses the mount gets ENOTCONN.
  ~MountDevice();

  int device() const { return device_; }
  const std::vector<int>& clones() const { return clones_; }
  // Ends every request that a client has read and not answered, with ECONNABORTED.
  absl::Status DropUnanswered();
  // Takes the mountpoint away, unless that is done.
  void Unmount();

 private:
  MountDevice() = default;
  absl::Status Clone();
  void CloseClones();

  fuse_session* session_ = nullptr;
  int device_ = -1;  // the session's
  std::vector<int> clones_;
};

}  // namespace penstock::client

#include "client/fuse/mount_device.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "client/fuse/libfuse.h"
#include "client/fuse/mount_terms.h"
#include "common/status.h"

namespace penstock::client {

absl::StatusOr<std::unique_ptr<MountDevice>> MountDevice::Mount(const MountOptions& options) {
  std::unique_ptr<MountDevice> mount(new MountDevice());
  ASSIGN_OR_RETURN(mount->session_, NewFuseSession(options, fuse_lowlevel_ops{}, nullptr));
  errno = 0;
  if (fuse_session_mount(mount->session_, options.mountpoint.c_str()) != 0) {
    return PosixError(
        errno != 0 ? errno : EIO,
        absl::StrCat("mounting on ", options.mountpoint,
                     " failed; is /dev/fuse there, and (when not root) fusermount3?"));
  }
  mount->device_ = fuse_session_fd(mount->session_);
  fcntl(mount->device_, F_SETFD, FD_CLOEXEC);
  const absl::Status cloned = mount->Clone();
  if (!cloned.ok()) {
    mount->Unmount();
    return cloned;
  }
  return mount;
}

MountDevice::~MountDevice() {
  CloseClones();
  if (session_ != nullptr) fuse_session_destroy(session_);  // closes device_
}

absl::Status MountDevice::Clone() {
  for (int i = 0; i < kClones; ++i) {
    const int clone = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (clone < 0) return PosixError(errno, "opening /dev/fuse once more");
    clones_.push_back(clone);
    auto master = static_cast<uint32_t>(device_);
    if (ioctl(clone, FUSE_DEV_IOC_CLONE, &master) != 0) {
      return PosixError(errno, "cloning the descriptor of /dev/fuse");
    }
  }
  return absl::OkStatus();
}

void MountDevice::CloseClones() {
  for (int clone : clones_) close(clone);
  clones_.clear();
}

absl::Status MountDevice::DropUnanswered() {
  CloseClones();
  return Clone();
}

void MountDevice::Unmount() { fuse_session_unmount(session_); }

}  // namespace penstock::client

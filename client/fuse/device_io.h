// DeviceIo is how libfuse reads and writes /dev/fuse here: through descriptors that the supervisor
// holds, too, so that a request that was read and not answered outlives the client, and with the
// kernel's greeting (FUSE_INIT) played again to a client that comes later.
//
// Linux 6.9 and later give unanswered requests again (FUSE_NOTIFY_RESEND). On an older kernel each
// thread reads from a descriptor of this process alone: its requests end with ECONNABORTED when
// the process dies.
#pragma once

#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "client/fuse/libfuse.h"
#include "client/fuse/mount_journal.h"

namespace penstock::client {

// Inherited from the supervisor: the mount's device, which no request is read from, the greeting
// apart, and clones of it at consecutive numbers.
struct DeviceDescriptors {
  int device = -1;
  int first_clone = -1;
  int clones = 0;
};

// The request that this thread read last.
struct CurrentRequest {
  uint64_t number = 0;
  bool again = false;  // an earlier client read it, too
  uint32_t opcode = 0;
};

class DeviceIo {
 public:
  explicit DeviceIo(DeviceDescriptors descriptors) : descriptors_(descriptors) {}

  static const fuse_custom_io* Callbacks();  // userdata: a MountContext with this as `device`
  static CurrentRequest Current();

  int device() const { return descriptors_.device; }
  // Lets `session` answer the kernel's greeting; a later client's answer must be the first one's.
  // FAILED_PRECONDITION: this program would promise the kernel something else.
  absl::Status Greet(fuse_session* session, MountJournal* journal);
  // Once after Greet(), before any request is read: asks for what was left unanswered.
  absl::Status Resend() const;
  bool resumed() const { return resumed_; }

 private:
  static ssize_t Read(int fd, void* buffer, size_t size, void* context);
  static ssize_t Write(int fd, iovec* parts, int count, void* context);
  absl::StatusOr<std::string> ReadGreeting() const;
  void LookAtKernel(const std::string& request);
  void Adopt(int fd);
  absl::Status Notify(int code) const;

  const DeviceDescriptors descriptors_;
  std::atomic<unsigned> next_clone_{0};
  int session_fd_ = -1;
  bool resumed_ = false;
  bool kernel_resends_ = false;
  bool kernel_has_epochs_ = false;
  // While the greeting is answered.
  bool greeting_ = false;
  std::string reply_;
};

}  // namespace penstock::client

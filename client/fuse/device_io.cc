#include "client/fuse/device_io.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <spdlog/spdlog.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "client/fuse/mount_context.h"
#include "common/status.h"
#include "common/units.h"

namespace penstock::client {
namespace {

// Newer than the headers of the systems that we build on.
constexpr uint64_t kUniqueResend = uint64_t{1} << 63;
constexpr uint32_t kInitExt = 1u << 30;           // FUSE_INIT_EXT: flags2 counts
constexpr uint32_t kHasResend = 1u << (39 - 32);  // FUSE_HAS_RESEND, in flags2: Linux 6.9
constexpr uint32_t kMinorWithEpochs = 44;         // Linux 6.16
constexpr int kNotifyResend = 7;
constexpr int kNotifyIncEpoch = 8;

thread_local CurrentRequest current_request;
thread_local int adopted_fd = -1;

DeviceIo* DeviceOf(void* context) { return static_cast<const MountContext*>(context)->device; }

// What follows the header of a greeting or of its answer.
template <typename Header, typename Body>
Body BodyOf(const std::string& message) {
  Body body = {};
  if (message.size() > sizeof(Header)) {
    std::memcpy(&body, message.data() + sizeof(Header),
                std::min(sizeof(Body), message.size() - sizeof(Header)));
  }
  return body;
}

fuse_init_in Asked(const std::string& request) {
  return BodyOf<fuse_in_header, fuse_init_in>(request);
}

// The first client took only a part of what the kernel offered; a later one is offered that.
std::string OfferWhatWasTaken(std::string request, const std::string& reply) {
  const auto taken = BodyOf<fuse_out_header, fuse_init_out>(reply);
  fuse_init_in offer = Asked(request);
  offer.flags &= taken.flags | kInitExt;
  offer.flags2 &= taken.flags2;
  const size_t size = std::min(sizeof(offer), request.size() - sizeof(fuse_in_header));
  std::memcpy(request.data() + sizeof(fuse_in_header), &offer, size);
  return request;
}

}  // namespace

const fuse_custom_io* DeviceIo::Callbacks() {
  static const fuse_custom_io callbacks = {
      .writev = Write, .read = Read, .splice_receive = nullptr, .splice_send = nullptr};
  return &callbacks;
}

CurrentRequest DeviceIo::Current() { return current_request; }

// libfuse ends a waiting thread by pthread_cancel in read(2): nothing here has a destructor.
ssize_t DeviceIo::Read(int fd, void* buffer, size_t size, void* context) {
  if (fd != adopted_fd) {
    DeviceOf(context)->Adopt(fd);
    adopted_fd = fd;
  }
  const ssize_t n = read(fd, buffer, size);
  if (n < static_cast<ssize_t>(sizeof(fuse_in_header))) return n;
  const auto* header = static_cast<const fuse_in_header*>(buffer);
  current_request = {header->unique & ~kUniqueResend, (header->unique & kUniqueResend) != 0,
                     header->opcode};
  return n;
}

// libfuse has cloned the device for this thread. Its number gets one of the supervisor's clones,
// which is the same to the kernel but is not closed when this process ends.
void DeviceIo::Adopt(int fd) {
  if (!kernel_resends_ || descriptors_.clones == 0 || fd == session_fd_) return;
  const auto clones = static_cast<unsigned>(descriptors_.clones);
  const int clone = descriptors_.first_clone + static_cast<int>(next_clone_++ % clones);
  if (dup3(clone, fd, O_CLOEXEC) != fd) {
    SPDLOG_WARN("a thread's requests will not outlive this client error={}", strerror(errno));
  }
}

ssize_t DeviceIo::Write(int fd, iovec* parts, int count, void* context) {
  DeviceIo* device = DeviceOf(context);
  if (!device->greeting_) return writev(fd, parts, count);
  for (int i = 0; i < count; ++i) {
    device->reply_.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  }
  // The kernel had its answer from the first client.
  if (device->resumed_) return static_cast<ssize_t>(device->reply_.size());
  return writev(fd, parts, count);
}

absl::StatusOr<std::string> DeviceIo::ReadGreeting() const {
  std::string request(kMiB + 64 * kKiB, '\0');  // the kernel wants room for any request
  ssize_t n = 0;
  do {
    n = read(descriptors_.device, request.data(), request.size());
  } while (n < 0 && (errno == EINTR || errno == EAGAIN));
  if (n < 0) return PosixError(errno, "reading the kernel's greeting");
  request.resize(static_cast<size_t>(n));
  return request;
}

void DeviceIo::LookAtKernel(const std::string& request) {
  const fuse_init_in asked = Asked(request);
  kernel_resends_ = (asked.flags & kInitExt) != 0 && (asked.flags2 & kHasResend) != 0;
  kernel_has_epochs_ = asked.major == 7 && asked.minor >= kMinorWithEpochs;
}

absl::Status DeviceIo::Greet(fuse_session* session, MountJournal* journal) {
  ASSIGN_OR_RETURN(MountJournal::Greeting greeting, journal->greeting());
  resumed_ = !greeting.reply.empty();
  session_fd_ = fuse_session_fd(session);
  if (!resumed_) {
    ASSIGN_OR_RETURN(greeting.request, ReadGreeting());
  }
  if (greeting.request.size() <= sizeof(fuse_in_header)) {
    return absl::DataLossError("the kernel's greeting is too short");
  }
  LookAtKernel(greeting.request);
  std::string request =
      resumed_ ? OfferWhatWasTaken(greeting.request, greeting.reply) : greeting.request;
  fuse_buf buffer = {};
  buffer.mem = request.data();
  buffer.size = request.size();
  greeting_ = true;
  fuse_session_process_buf(session, &buffer);
  greeting_ = false;
  fuse_out_header header = {};
  if (reply_.size() >= sizeof(header)) std::memcpy(&header, reply_.data(), sizeof(header));
  if (header.len != reply_.size() || header.error != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("libfuse refused the kernel's greeting, error ", header.error));
  }
  if (!resumed_) return journal->SetGreeting({greeting.request, reply_});
  if (reply_ != greeting.reply) {
    return absl::FailedPreconditionError(
        "this program has other terms with the kernel than the one that mounted; unmount and "
        "mount again to change the program");
  }
  return absl::OkStatus();
}

absl::Status DeviceIo::Notify(int code) const {
  fuse_out_header header = {};
  header.len = sizeof(header);
  header.error = code;
  if (write(descriptors_.device, &header, sizeof(header)) < 0) {
    return PosixError(errno, absl::StrCat("notifying the kernel, code ", code));
  }
  return absl::OkStatus();
}

absl::Status DeviceIo::Resend() const {
  if (!resumed_) return absl::OkStatus();
  // Names and attributes that the kernel keeps were leased to the client that died.
  if (kernel_has_epochs_) RETURN_IF_ERROR(Notify(kNotifyIncEpoch));
  if (kernel_resends_) RETURN_IF_ERROR(Notify(kNotifyResend));
  return absl::OkStatus();
}

}  // namespace penstock::client

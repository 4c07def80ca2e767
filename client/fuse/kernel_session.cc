#include "client/fuse/kernel_session.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <vector>

#include "client/fuse/mount_terms.h"
#include "client/fuse/operations.h"
#include "common/status.h"
#include "common/units.h"

namespace penstock::client {
namespace {

constexpr uint32_t kRequestBytes = 1 * kMiB;
constexpr int kThreads = 64;  // each may wait for a server
constexpr int kIdleThreads = 16;
constexpr uint32_t kBackground = 256;
constexpr unsigned kMinorWithEpochs = 44;  // of the kernel's protocol: Linux 6.16

void Want(fuse_conn_info* conn, unsigned flag, bool on) {
  if (on) {
    conn->want |= conn->capable & flag;
  } else {
    conn->want &= ~flag;
  }
}

void Init(void* userdata, fuse_conn_info* conn) {
  const auto* mount = static_cast<const MountContext*>(userdata);
  Want(conn, FUSE_CAP_ASYNC_READ, true);
  Want(conn, FUSE_CAP_ASYNC_DIO, true);
  Want(conn, FUSE_CAP_ATOMIC_O_TRUNC, true);
  Want(conn, FUSE_CAP_PARALLEL_DIROPS, true);
  Want(conn, FUSE_CAP_READDIRPLUS, true);
  Want(conn, FUSE_CAP_READDIRPLUS_AUTO, true);
  mount->memory->SetEpochs(conn->proto_major == 7 && conn->proto_minor >= kMinorWithEpochs);
  Want(conn, FUSE_CAP_POSIX_LOCKS, true);
  Want(conn, FUSE_CAP_FLOCK_LOCKS, true);
  // Pages are kept or dropped at open, by data_version (close-to-open), and when others change the
  // file. By mtime the kernel would drop all pages of a file after each write of this mount itself.
  Want(conn, FUSE_CAP_AUTO_INVAL_DATA, false);
  Want(conn, FUSE_CAP_WRITEBACK_CACHE, false);
  // The kernel checks permissions, by the lists that it asks for (system.posix_acl_access).
  Want(conn, FUSE_CAP_POSIX_ACL, mount->options.default_permissions);
  // Whether the umask counts is known by the metaserver, which has the default lists.
  Want(conn, FUSE_CAP_DONT_MASK, true);
  // open_by_handle_at: LOOKUP of "." and ".." finds an inode that the kernel has forgotten.
  Want(conn, FUSE_CAP_EXPORT_SUPPORT, true);
  // The kernel clears set-user-id by SETATTR, which knows the caller's capabilities.
  Want(conn, FUSE_CAP_HANDLE_KILLPRIV, false);
  // Payloads lie in our memory: one copy to the kernel beats passing pages through a pipe.
  Want(conn, FUSE_CAP_SPLICE_READ, false);
  Want(conn, FUSE_CAP_SPLICE_WRITE, false);
  Want(conn, FUSE_CAP_SPLICE_MOVE, false);
  conn->max_write = kRequestBytes;
  conn->max_readahead = static_cast<unsigned>(
      std::max<int64_t>(int64_t{mount->options.read_ahead_kib} * 1024, 128 * 1024));
  conn->max_background = kBackground;
  conn->congestion_threshold = kBackground * 3 / 4;
  conn->time_gran = 1;
}

fuse_lowlevel_ops AllOperations() {
  fuse_lowlevel_ops ops = {};
  ops.init = Init;
  AddNameOperations(&ops);
  AddAttributeOperations(&ops);
  AddFileOperations(&ops);
  AddDirectoryOperations(&ops);
  AddLockOperations(&ops);
  return ops;
}

void IgnoreSignal(int) {}

// An ordinary user's way to unmount; 0 or the errno.
int RunFusermount(const std::string& mountpoint) {
  std::vector<std::string> words{"fusermount3", "-u", "-z", "--", mountpoint};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  if (const int error = posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ);
      error != 0) {
    return error;
  }
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) return errno;
  return status == 0 ? 0 : EPERM;
}

}  // namespace

absl::Status KernelSession::Attach(MountJournal* journal) {
  serving_ = pthread_self();
  ASSIGN_OR_RETURN(session_, NewFuseSession(context_->options, AllOperations(),
                                            const_cast<MountContext*>(context_)));
  const int device = fcntl(context_->device->device(), F_DUPFD_CLOEXEC, 0);  // the session's own
  if (const int error = fuse_session_custom_io(session_, DeviceIo::Callbacks(), device);
      error != 0) {
    return PosixError(-error, "libfuse refused the descriptor of the mount");
  }
  context_->memory->SetSession(session_);
  RETURN_IF_ERROR(context_->device->Greet(session_, journal));
  return context_->device->Resend();
}

KernelSession::~KernelSession() {
  if (session_ == nullptr) return;
  context_->memory->SetSession(nullptr);
  fuse_session_destroy(session_);
}

absl::Status KernelSession::Serve() {
  serving_ = pthread_self();
  // End() interrupts the wait in fuse_session_loop_mt with it.
  struct sigaction action = {};
  action.sa_handler = IgnoreSignal;
  sigaction(SIGUSR2, &action, nullptr);
  fuse_loop_config* config = fuse_loop_cfg_create();
  fuse_loop_cfg_set_clone_fd(config, 1);
  fuse_loop_cfg_set_max_threads(config, kThreads);
  fuse_loop_cfg_set_idle_threads(config, kIdleThreads);
  const int error = fuse_session_loop_mt(session_, config);
  fuse_loop_cfg_destroy(config);
  if (error < 0) return PosixError(-error, "serving the mount");
  return absl::OkStatus();
}

void KernelSession::Detach() {
  const std::string& mountpoint = context_->options.mountpoint;
  if (umount2(mountpoint.c_str(), MNT_DETACH) == 0) return;
  int error = errno;
  if (geteuid() != 0) error = RunFusermount(mountpoint);
  if (error != 0) SPDLOG_WARN("mountpoint not detached error={}", strerror(error));
}

void KernelSession::End() {
  fuse_session_exit(session_);
  pthread_kill(serving_, SIGUSR2);
}

void KernelSession::DropCaches(const std::vector<std::pair<InodeNumber, bool>>& inodes) const {
  for (const auto& [ino, pages] : inodes) {
    const int error =
        fuse_lowlevel_notify_inval_inode(session_, context_->ToNode(ino), pages ? 0 : -1, 0);
    if (error != 0 && error != -ENOENT) {
      SPDLOG_WARN("kernel keeps what it knows ino={} error={}", ino.value(), strerror(-error));
    }
  }
}

void KernelSession::TuneReadAhead() const {
  struct stat st = {};
  if (stat(context_->options.mountpoint.c_str(), &st) != 0) return;
  const std::string path =
      absl::StrCat("/sys/class/bdi/", major(st.st_dev), ":", minor(st.st_dev), "/read_ahead_kb");
  std::ofstream file(path);
  file << context_->options.read_ahead_kib << std::endl;
  if (!file) {
    SPDLOG_INFO("read-ahead not raised (needs root): sequential reads will be slower path={}",
                path);
  }
}

}  // namespace penstock::client

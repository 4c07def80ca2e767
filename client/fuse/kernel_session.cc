#include "client/fuse/kernel_session.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <spdlog/spdlog.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <vector>

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

// libfuse splits -o at commas.
std::string Escape(const std::string& value) {
  std::string escaped;
  for (char c : value) {
    if (c == ',' || c == '\\') escaped.push_back('\\');
    escaped.push_back(c);
  }
  return escaped;
}

std::string KernelOptions(const MountOptions& options) {
  const std::string fsname =
      options.fsname.empty() ? absl::StrCat("penstock:", options.metaserver) : options.fsname;
  std::vector<std::string> list{absl::StrCat("fsname=", Escape(fsname)), "subtype=penstock"};
  if (options.allow_other) list.push_back("allow_other");
  if (options.default_permissions) list.push_back("default_permissions");
  if (options.read_only) list.push_back("ro");
  list.insert(list.end(), options.kernel_options.begin(), options.kernel_options.end());
  return absl::StrJoin(list, ",");
}

void IgnoreSignal(int) {}

}  // namespace

absl::Status KernelSession::Mount() {
  const std::string options = KernelOptions(context_->options);
  std::vector<std::string> words{"penstock", "-o", options};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  fuse_args args = FUSE_ARGS_INIT(static_cast<int>(argv.size()), argv.data());
  const fuse_lowlevel_ops ops = AllOperations();
  session_ = fuse_session_new(&args, &ops, sizeof(ops), const_cast<MountContext*>(context_));
  fuse_opt_free_args(&args);
  if (session_ == nullptr) {
    return PosixError(EINVAL, absl::StrCat("libfuse refused the options ", options));
  }
  if (fuse_session_mount(session_, context_->options.mountpoint.c_str()) != 0) {
    return PosixError(
        errno != 0 ? errno : EIO,
        absl::StrCat("mounting on ", context_->options.mountpoint,
                     " failed; is /dev/fuse there, and (when not root) fusermount3?"));
  }
  mounted_ = true;
  context_->memory->SetSession(session_);
  return absl::OkStatus();
}

KernelSession::~KernelSession() {
  if (session_ == nullptr) return;
  context_->memory->SetSession(nullptr);
  if (mounted_) fuse_session_unmount(session_);
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
  if (umount2(context_->options.mountpoint.c_str(), MNT_DETACH) != 0) {
    SPDLOG_WARN("mountpoint not detached error={}", strerror(errno));
  }
}

void KernelSession::End() {
  fuse_session_exit(session_);
  pthread_kill(serving_, SIGUSR2);
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

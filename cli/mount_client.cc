#include "cli/mount_client.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cli/address.h"
#include "cli/cluster_file.h"
#include "cli/find_cluster.h"
#include "cli/mount_table.h"
#include "cli/paths.h"
#include "cli/reach_metaserver.h"
#include "cli/verbs.h"
#include "client/fuse/mount.h"
#include "common/logging.h"
#include "common/net/cluster_key.h"
#include "common/program.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr absl::Duration kReachPatience = absl::Seconds(10);

// The mount with everything looked up.
struct Plan {
  client::MountOptions options;
  MountSettings settings;
  std::string log_file;
};

absl::Status CheckMountpoint(const std::string& mountpoint) {
  struct stat info;
  if (stat(mountpoint.c_str(), &info) != 0) {
    return PosixError(errno, absl::StrCat("the mountpoint ", mountpoint, ": ", strerror(errno),
                                          errno == ENOENT ? "; make it with mkdir -p" : ""));
  }
  if (!S_ISDIR(info.st_mode)) {
    return PosixError(ENOTDIR, absl::StrCat("the mountpoint ", mountpoint, " is no directory"));
  }
  std::optional<MountEntry> mounted = MountAt(MountTable(), mountpoint);
  if (mounted.has_value() && mounted->type == kFileSystemType) {
    return PosixError(EBUSY,
                      absl::StrCat(mountpoint, " is already a mount of ", mounted->source,
                                   "; `penstock umount ", ShellWord(mountpoint), "` ends it"));
  }
  return absl::OkStatus();
}

std::string DefaultLogFile(const std::string& mountpoint) {
  const std::string dir = geteuid() == 0 ? "/var/log/penstock" : StateDirectory();
  return absl::StrCat(dir, "/mount-", EscapePath(mountpoint), ".log");
}

// Also a DIR without a slash, when a cluster is there, as with --cluster.
absl::StatusOr<MountSource> FindSource(const std::string& text) {
  const std::string where = text.substr(0, text.find(":/"));
  const bool relative = !where.empty() && where[0] != '/';
  if (relative && ClusterDirectory{AbsolutePath(where)}.HasCluster()) {
    return ParseMountSource("./" + text);
  }
  return ParseMountSource(text);
}

absl::Status ResolveSource(const MountCommand& command, Plan& plan) {
  ASSIGN_OR_RETURN(MountSource source, FindSource(command.source));
  HostPort address = source.address;
  std::string key_file = command.settings.key_file;
  if (!source.directory.empty()) {
    const ClusterDirectory dir{AbsolutePath(source.directory)};
    ASSIGN_OR_RETURN(ClusterFile file, dir.Read());
    address = file.metaserver;
    if (key_file.empty()) key_file = dir.Key("cluster.key");
  }
  ASSIGN_OR_RETURN(key_file, FindMountKey(key_file, address));
  // What is wrong with the key or the address is told before anything starts.
  ASSIGN_OR_RETURN(const net::ClusterKey key, net::ClusterKey::Load(key_file));
  RETURN_IF_ERROR(
      ReachMetaserver(address, key, std::min(command.settings.io_timeout, kReachPatience)));
  plan.options.key_file = key_file;
  plan.options.metaserver = address.ToString();
  plan.options.subdir = source.subdir;
  plan.options.fsname = SourceText(address, source.subdir);
  return absl::OkStatus();
}

absl::StatusOr<Plan> MakePlan(const MountCommand& command) {
  Plan plan;
  plan.settings = command.settings;
  client::MountOptions& options = plan.options;
  options.mountpoint = AbsolutePath(command.mountpoint);
  ClearDeadMount(WithoutSymlinks(options.mountpoint));
  RETURN_IF_ERROR(CheckMountpoint(options.mountpoint));
  // As the kernel will show it, so that `penstock umount` finds it.
  options.mountpoint = WithoutSymlinks(options.mountpoint);
  RETURN_IF_ERROR(CheckMountpoint(options.mountpoint));
  RETURN_IF_ERROR(CheckFuse());
  RETURN_IF_ERROR(ResolveSource(command, plan));
  const MountSettings& s = command.settings;
  options.io_timeout = s.io_timeout;
  options.allow_other = s.allow_other;
  options.default_permissions = s.default_permissions;
  options.sync_on_close = s.sync_on_close;
  options.metrics = s.metrics;
  options.read_only = s.read_only;
  options.memory_bytes = s.memory_bytes;
  options.max_connections = s.max_connections;
  options.read_ahead_kib = s.read_ahead_kib;
  options.atime = s.atime;
  options.directory_atime = s.directory_atime;
  options.kernel_options = s.kernel_options;
  plan.log_file = s.log_file;
  if (plan.log_file.empty() && !command.foreground) {
    plan.log_file = DefaultLogFile(options.mountpoint);
  }
  return plan;
}

// Serves the mount until it ends; `on_ready` once it answers.
absl::Status Serve(const Plan& plan, std::function<void()> on_ready) {
  RETURN_IF_ERROR(StartLogging({"penstock-mount", plan.settings.log_level, plan.log_file}));
  ASSIGN_OR_RETURN(ProcessId self, IdentifyProcess(getpid()));
  MountRecord record{self, plan.options.mountpoint, plan.options.fsname, plan.log_file, ""};
  const absl::Status ended = client::RunMount(plan.options, [&] {
    absl::Status written = WriteMountRecord(record);
    if (!written.ok()) SPDLOG_WARN("mount record not written error={}", written.ToString());
    if (!plan.settings.pid_file.empty()) {
      written = WritePidFile(plan.settings.pid_file, self);
      if (!written.ok()) SPDLOG_WARN("pid file not written error={}", written.ToString());
    }
    on_ready();
  });
  if (!plan.settings.pid_file.empty()) unlink(plan.settings.pid_file.c_str());
  const std::optional<MountRecord> on_disk = ReadMountRecord(record.mountpoint);
  if (!on_disk.has_value() || on_disk->process != self) return ended;  // never ready, or another's
  if (ended.ok()) {
    RemoveMountRecord(record.mountpoint);
  } else {
    record.error = std::string(ended.message());
    if (!WriteMountRecord(record).ok()) SPDLOG_WARN("mount record not written");
  }
  return ended;
}

// The child of the fork: tells its parent "ok" or the error through `report_fd`, and goes on.
[[noreturn]] void ServeDetached(const Plan& plan, int report_fd) {
  setsid();
  if (chdir("/") != 0) _exit(kExitFailure);
  const int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  const int log_fd = open(plan.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  dup2(null_fd, STDIN_FILENO);
  dup2(log_fd >= 0 ? log_fd : null_fd, STDOUT_FILENO);
  dup2(log_fd >= 0 ? log_fd : null_fd, STDERR_FILENO);
  bool ready = false;
  absl::Status ended = Serve(plan, [&] {
    ready = true;
    // Nobody would know of the mount if the command was interrupted: end it again.
    if (write(report_fd, "ok", 2) != 2) kill(getpid(), SIGTERM);
    close(report_fd);
  });
  if (!ready) {
    if (ErrnoOf(ended) == ENOENT && !plan.options.subdir.empty()) {
      ended = absl::NotFoundError(
          absl::StrCat("the file system has no directory ", plan.options.subdir));
    }
    const std::string text(ended.ok() ? "it ended before the mount was ready" : ended.message());
    if (write(report_fd, text.data(), text.size()) < 0) _exit(kExitFailure);
  } else if (!ended.ok()) {
    SPDLOG_ERROR("mount ended with an error mountpoint={} error={}", plan.options.mountpoint,
                 ended.ToString());
  }
  spdlog::shutdown();
  std::_Exit(ended.ok() ? kExitOk : kExitFailure);
}

absl::Status StartDetached(const Plan& plan) {
  const size_t slash = plan.log_file.rfind('/');
  RETURN_IF_ERROR(MakeDirectories(plan.log_file.substr(0, slash)));
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return PosixError(errno, "pipe");
  std::fflush(stdout);
  const pid_t pid = fork();
  if (pid < 0) return PosixError(errno, "cannot start the client: fork");
  if (pid == 0) {
    close(report[0]);
    ServeDetached(plan, report[1]);
  }
  close(report[1]);
  std::string text;
  char buffer[1024];
  for (;;) {
    const ssize_t n = read(report[0], buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(buffer, static_cast<size_t>(n));
  }
  close(report[0]);
  if (text == "ok") return absl::OkStatus();
  std::string message =
      absl::StrCat("cannot mount ", plan.options.fsname, " on ", plan.options.mountpoint, ": ",
                   text.empty() ? "the client died" : text);
  absl::StrAppend(&message, "\n  the client's log is ", plan.log_file);
  if (text.empty()) absl::StrAppend(&message, ", which ends:\n", LastLines(plan.log_file, 10));
  return absl::UnavailableError(message);
}

}  // namespace

absl::Status CheckFuse() {
  const int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (fd >= 0) {
    close(fd);
    if (geteuid() == 0 || access("/usr/bin/fusermount3", X_OK) == 0 ||
        access("/bin/fusermount3", X_OK) == 0) {
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(
        "fusermount3 is missing, which mounts for ordinary users: install the package fuse3");
  }
  switch (errno) {
    case ENOENT:
      return PosixError(ENOENT,
                        "/dev/fuse is not there: load the kernel module (modprobe fuse), or "
                        "give the container the device (--device /dev/fuse)");
    case EACCES:
    case EPERM:
      return PosixError(errno,
                        "no right to open /dev/fuse: run as root, or in a container add "
                        "--device /dev/fuse --cap-add SYS_ADMIN");
    default:
      return PosixError(errno, absl::StrCat("/dev/fuse: ", strerror(errno)));
  }
}

bool ClearDeadMount(const std::string& mountpoint) {
  std::optional<MountEntry> mounted = MountAt(PenstockMounts(), mountpoint);
  if (!mounted.has_value()) return false;
  struct stat info;
  std::optional<MountRecord> record = ReadMountRecord(mountpoint);
  const bool known_dead = record.has_value() && !IsRunning(record->process);
  if (!known_dead && record.has_value()) return false;
  if (!known_dead && (stat(mountpoint.c_str(), &info) == 0 || errno != ENOTCONN)) return false;
  if (geteuid() == 0) return umount2(mountpoint.c_str(), MNT_DETACH) == 0;
  absl::StatusOr<ProgramOutput> output = RunProgram({"fusermount3", "-u", "-z", mountpoint});
  return output.ok() && output->exit_code == 0;
}

absl::Status MountFileSystem(const MountCommand& command) {
  ASSIGN_OR_RETURN(Plan plan, MakePlan(command));
  if (command.verbose) {
    std::printf("mounting %s on %s with the key %s, log %s\n", plan.options.fsname.c_str(),
                plan.options.mountpoint.c_str(), plan.options.key_file.c_str(),
                plan.log_file.empty() ? "on standard error" : plan.log_file.c_str());
  }
  if (!command.foreground) return StartDetached(plan);
  return Serve(plan, [&] {
    std::printf("%s is mounted on %s; Ctrl-C unmounts it\n", plan.options.fsname.c_str(),
                plan.options.mountpoint.c_str());
    std::fflush(stdout);
    NotifyReady(absl::StrCat("mounted on ", plan.options.mountpoint));
  });
}

}  // namespace penstock::cli

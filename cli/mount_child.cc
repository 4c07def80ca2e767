// `penstock mount-client`: not for people. The supervisor starts it with the mount's descriptors
// (client_process.h) and everything looked up.
#include "cli/mount_child.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "cli/client_process.h"
#include "cli/mount_table.h"
#include "cli/verbs.h"
#include "common/logging.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

struct MountClientOptions {
  client::MountOptions mount;
  std::vector<std::string> options;
  std::string log_file;
  int clones = 0;
};

absl::Status CheckInherited(int clones) {
  for (int fd = kInheritedDevice; fd < kInheritedClones + clones; ++fd) {
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
      return UsageError("this is started by `penstock mount`, not by hand");
    }
  }
  return absl::OkStatus();
}

absl::Status Serve(const MountClientOptions& verb) {
  MountSettings settings = DefaultMountSettings(geteuid() == 0);
  for (const std::string& list : verb.options) RETURN_IF_ERROR(ApplyMountOptions(list, settings));
  client::MountOptions options = verb.mount;
  ApplySettings(settings, options);
  RETURN_IF_ERROR(StartLogging({"penstock-mount", settings.log_level, verb.log_file}));
  absl::Status ended = client::RunMount(options,
                                        {.device = kInheritedDevice,
                                         .journal = kInheritedJournal,
                                         .first_clone = kInheritedClones,
                                         .clones = verb.clones},
                                        ReportReady);
  if (ended.ok() || ErrnoOf(ended) != ENOENT || options.subdir.empty()) return ended;
  return absl::NotFoundError(absl::StrCat("the file system has no directory ", options.subdir));
}

// A client whose supervisor died ends alone: `penstock umount` waits for the word of how.
void FinishWithoutSupervisor(const std::string& mountpoint, const absl::Status& ended) {
  std::optional<MountRecord> record = ReadMountRecord(mountpoint);
  if (!record.has_value() || record->client.pid != getpid() || IsRunning(record->process)) return;
  FinishMountRecord(*std::move(record), ended);
}

absl::Status RunMountClient(const MountClientOptions& verb) {
  prctl(PR_SET_NAME, "penstock");  // started by a descriptor, it has no name
  RETURN_IF_ERROR(CheckInherited(verb.clones));
  absl::Status ended = Serve(verb);
  FinishWithoutSupervisor(verb.mount.mountpoint, ended);
  if (!ended.ok()) ReportError(ended);
  return ended;
}

}  // namespace

void ApplySettings(const MountSettings& settings, client::MountOptions& options) {
  options.io_timeout = settings.io_timeout;
  options.allow_other = settings.allow_other;
  options.default_permissions = settings.default_permissions;
  options.hedge_after = settings.hedge_after;
  options.sync_on_close = settings.sync_on_close;
  options.metrics = settings.metrics;
  options.read_only = settings.read_only;
  options.memory_bytes = settings.memory_bytes;
  options.max_connections = settings.max_connections;
  options.transport = settings.transport;
  options.read_ahead_kib = settings.read_ahead_kib;
  options.atime = settings.atime;
  options.directory_atime = settings.directory_atime;
  options.kernel_options = settings.kernel_options;
}

void AddMountClient(CLI::App& app, Program& program) {
  auto options = std::make_shared<MountClientOptions>();
  CLI::App* verb = app.add_subcommand(kMountClientVerb, "serves a mount (started by `mount`)");
  verb->group("");  // not shown
  verb->add_option("SOURCE", options->mount.fsname)->required();
  verb->add_option("MOUNTPOINT", options->mount.mountpoint)->required();
  verb->add_option("--metaserver", options->mount.metaserver)->required();
  verb->add_option("--subdir", options->mount.subdir);
  verb->add_option("--key", options->mount.key_file)->required();
  verb->add_option("--log", options->log_file);
  verb->add_option("--clones", options->clones);
  verb->add_option("-o", options->options)->take_all()->expected(1)->allow_extra_args(false);
  verb->callback(
      [&program, options] { program.run = [options] { return RunMountClient(*options); }; });
}

}  // namespace penstock::cli

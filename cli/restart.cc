// `penstock restart`: the way to upgrade the client of a mount that is in use.
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <signal.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include "cli/mount_table.h"
#include "cli/paths.h"
#include "cli/verbs.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr absl::Duration kRestartPatience =
    absl::Minutes(5);  // all that was written is flushed first

absl::StatusOr<MountRecord> FindSupervised(const std::string& typed) {
  std::string mountpoint = AbsolutePath(typed);
  if (!MountAt(PenstockMounts(), mountpoint).has_value()) mountpoint = WithoutSymlinks(mountpoint);
  if (!MountAt(PenstockMounts(), mountpoint).has_value()) {
    return absl::NotFoundError(absl::StrCat(mountpoint, " is no mounted Penstock file system"));
  }
  const std::optional<MountRecord> record = ReadMountRecord(mountpoint);
  if (!record.has_value()) {
    return absl::NotFoundError(
        absl::StrCat("nothing is known of the processes of ", mountpoint,
                     "; only the user who mounted it can restart its client"));
  }
  if (!IsRunning(record->process)) {
    return absl::FailedPreconditionError(
        absl::StrCat(mountpoint, " has lost its supervisor (pid ", record->process.pid,
                     "): `penstock umount ", ShellWord(mountpoint), "` and mount it again"));
  }
  return *record;
}

// The program before was found again by its descriptor; its file is another one by now.
bool RunsReplacedProgram(pid_t pid) {
  std::error_code error;
  const auto link = absl::StrCat("/proc/", pid, "/exe");
  return absl::EndsWith(std::filesystem::read_symlink(link, error).string(), " (deleted)");
}

absl::Status RunRestart(const std::string& typed) {
  ASSIGN_OR_RETURN(const MountRecord before, FindSupervised(typed));
  if (kill(before.process.pid, SIGUSR1) != 0) {
    return PosixError(errno, absl::StrCat("cannot ask the supervisor (pid ", before.process.pid,
                                          "): ", strerror(errno)));
  }
  const absl::Time deadline = absl::Now() + kRestartPatience;
  while (absl::Now() < deadline) {
    const std::optional<MountRecord> now = ReadMountRecord(before.mountpoint);
    if (!now.has_value() || now->process != before.process || !IsRunning(now->process)) {
      return absl::UnavailableError(absl::StrCat(
          before.mountpoint, " was unmounted or given up meanwhile; its log is ", before.log_file));
    }
    if (now->client != before.client && IsRunning(now->client)) {
      if (RunsReplacedProgram(now->client.pid)) {
        return absl::FailedPreconditionError(absl::StrCat(
            before.mountpoint,
            " is served by the program before, since the new one could not take over; unmount and "
            "mount again to change it. Why is in ",
            before.log_file));
      }
      std::printf("%s is served by a new client (pid %d)\n", before.mountpoint.c_str(),
                  now->client.pid);
      return absl::OkStatus();
    }
    absl::SleepFor(absl::Milliseconds(20));
  }
  return absl::DeadlineExceededError(absl::StrCat("no new client serves ", before.mountpoint,
                                                  " yet; the log is ", before.log_file));
}

}  // namespace

void AddRestart(CLI::App& app, Program& program) {
  auto mountpoint = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand(
      "restart", "starts the client of a mount anew, after an upgrade; open files stay open");
  verb->add_option("MOUNTPOINT", *mountpoint, "where it is mounted")->required();
  verb->footer(
      "The client writes everything back and ends; the program that is now found at its path "
      "takes\n"
      "over. Programs that use the mount wait meanwhile. When the new program cannot go on with "
      "the\n"
      "mount (`penstock restart` says so in the log), the one before does.");
  verb->callback(
      [&program, mountpoint] { program.run = [mountpoint] { return RunRestart(*mountpoint); }; });
}

}  // namespace penstock::cli

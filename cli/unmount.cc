#include "cli/unmount.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/strip.h>
#include <absl/time/clock.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "cli/human.h"
#include "cli/mount_table.h"
#include "cli/paths.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kUsersShown = 4;

bool LinkIsBelow(const fs::path& link, const std::string& mountpoint) {
  std::error_code error;
  const std::string target = fs::read_symlink(link, error).string();
  return !error && (target == mountpoint || absl::StartsWith(target, mountpoint + "/"));
}

bool Uses(const fs::path& process, const std::string& mountpoint) {
  if (LinkIsBelow(process / "cwd", mountpoint) || LinkIsBelow(process / "root", mountpoint) ||
      LinkIsBelow(process / "exe", mountpoint)) {
    return true;
  }
  for (const char* folder : {"fd", "map_files"}) {
    std::error_code error;
    for (fs::directory_iterator it(process / folder, error), end; !error && it != end;
         it.increment(error)) {
      if (LinkIsBelow(it->path(), mountpoint)) return true;
    }
  }
  return false;
}

absl::Status BusyError(const std::string& mountpoint) {
  const std::vector<std::string> users = UsersOf(mountpoint);
  return PosixError(
      EBUSY, absl::StrCat(mountpoint, " is in use",
                          users.empty() ? "" : absl::StrCat(" by ", absl::StrJoin(users, ", ")),
                          "; end that (also shells that stand in it), or detach it with `penstock "
                          "umount --lazy ",
                          ShellWord(mountpoint), "`"));
}

// One try. EBUSY when it is in use.
absl::Status DetachOnce(const std::string& mountpoint, bool lazy) {
  if (geteuid() == 0) {
    if (umount2(mountpoint.c_str(), lazy ? MNT_DETACH : 0) == 0) return absl::OkStatus();
    return PosixError(errno, absl::StrCat("cannot unmount ", mountpoint, ": ", strerror(errno)));
  }
  std::vector<std::string> command = {"fusermount3", "-u"};
  if (lazy) command.push_back("-z");
  command.push_back(mountpoint);
  ASSIGN_OR_RETURN(ProgramOutput output, RunProgram(command));
  if (output.exit_code == 0) return absl::OkStatus();
  const bool busy = absl::StrContains(output.text, "busy");
  return PosixError(busy ? EBUSY : EPERM, absl::StrCat("cannot unmount ", mountpoint, ": ",
                                                       absl::StripSuffix(output.text, "\n")));
}

absl::Status Detach(const std::string& mountpoint, const UnmountOptions& options) {
  const absl::Time deadline = absl::Now() + options.busy_timeout;
  for (;;) {
    const absl::Status done = DetachOnce(mountpoint, options.lazy);
    if (done.ok() || ErrnoOf(done) != EBUSY) return done;
    if (absl::Now() >= deadline) return BusyError(mountpoint);
    absl::SleepFor(absl::Milliseconds(100));
  }
}

bool WaitUnserved(const MountRecord& record, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  if (record.client.pid != 0 && !WaitGone(record.client, timeout)) return false;
  return WaitGone(record.process, deadline - absl::Now());
}

absl::Status WaitForClient(const MountRecord& record, absl::Duration timeout) {
  if (!WaitUnserved(record, absl::Seconds(2))) {
    std::printf("waiting for the client (pid %d) to write everything back\n", record.client.pid);
    std::fflush(stdout);
    if (!WaitUnserved(record, timeout)) {
      return absl::DeadlineExceededError(
          absl::StrCat(record.mountpoint, " is unmounted, but its client (pid ", record.client.pid,
                       ") has not finished after ", HumanDuration(timeout),
                       "; it may still be used through an "
                       "open file, or wait for a server. Its log is ",
                       record.log_file));
    }
  }
  // The client removes its record when all was written, and leaves the error when not.
  const std::optional<MountRecord> left = ReadMountRecord(record.mountpoint);
  RemoveMountRecord(record.mountpoint);
  if (!left.has_value() || left->process != record.process) return absl::OkStatus();
  return absl::UnknownError(absl::StrCat(
      record.mountpoint, " is unmounted, but its client (pid ", record.client.pid, ") ended with ",
      left->error.empty() ? "no word, so it may not have written everything back" : left->error,
      "; its log is ", record.log_file));
}

}  // namespace

std::vector<std::string> UsersOf(const std::string& mountpoint) {
  std::vector<std::string> users;
  std::error_code error;
  for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(it->path().filename().string(), &pid)) continue;
    if (!Uses(it->path(), mountpoint)) continue;
    std::ifstream comm(it->path() / "comm");
    std::string name;
    std::getline(comm, name);
    users.push_back(absl::StrCat(name, " (", pid, ")"));
    if (users.size() == kUsersShown) break;
  }
  return users;
}

absl::Status Unmount(const std::string& mountpoint, const UnmountOptions& options) {
  const std::vector<MountEntry> table = PenstockMounts();
  if (!MountAt(table, mountpoint).has_value()) {
    std::vector<std::string> others;
    for (const MountEntry& entry : table) others.push_back(entry.mountpoint);
    return absl::NotFoundError(
        absl::StrCat(mountpoint, " is no mounted Penstock file system; ",
                     others.empty() ? "there is none on this machine" : "mounted are ",
                     absl::StrJoin(others, ", ")));
  }
  const std::optional<MountRecord> record = ReadMountRecord(mountpoint);
  const bool client_alive = record.has_value() && IsServed(*record);
  UnmountOptions how = options;
  if (record.has_value() && !client_alive) how.lazy = true;  // a dead client's mount is of no use
  RETURN_IF_ERROR(Detach(mountpoint, how));
  if (!record.has_value()) return absl::OkStatus();
  if (!client_alive) {
    RemoveMountRecord(mountpoint);
    std::printf("the client of %s had died; the dead mount is taken away\n", mountpoint.c_str());
    return absl::OkStatus();
  }
  return WaitForClient(*record, options.flush_timeout);
}

}  // namespace penstock::cli

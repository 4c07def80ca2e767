#include "cli/supervisor.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <absl/time/clock.h>
#include <fcntl.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "client/fuse/mount_journal.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr absl::Duration kLongestWait = absl::Hours(1);

std::string DescribeExit(int status) {
  if (WIFEXITED(status)) return absl::StrCat("exit code ", WEXITSTATUS(status));
  return absl::StrCat("signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")");
}

}  // namespace

Supervisor::Supervisor(SupervisedMount mount, std::function<void()> on_ready)
    : mount_(std::move(mount)), on_ready_(std::move(on_ready)) {}

Supervisor::~Supervisor() {
  for (int fd : {journal_, signals_, client_.report}) {
    if (fd >= 0) close(fd);
  }
}

absl::Status Supervisor::Run() {
  RETURN_IF_ERROR(Begin());
  absl::Status started = Start();
  if (!started.ok()) Stop(std::move(started));
  while (!ended_.has_value()) WaitForEvent();
  if (!was_ready_) Unmount();
  FinishRecord();
  return *ended_;
}

absl::Status Supervisor::Begin() {
  ASSIGN_OR_RETURN(const ProcessId self, IdentifyProcess(getpid()));
  record_ = {self, mount_.options.mountpoint, mount_.options.fsname, mount_.log_file, "", {}};
  program_path_ = OwnProgramPath();
  ASSIGN_OR_RETURN(program_, ClientProgram::At("/proc/self/exe"));
  ASSIGN_OR_RETURN(journal_, client::MountJournal::Create());
  // Before there is a mount that a signal would leave without anybody.
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&set, number);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals_ < 0) return PosixError(errno, "signalfd");
  ASSIGN_OR_RETURN(device_, client::MountDevice::Mount(mount_.options));
  return absl::OkStatus();
}

absl::Status Supervisor::Start() {
  start_at_ = absl::InfiniteFuture();
  serves_since_.reset();
  client_error_.clear();
  report_.clear();
  ASSIGN_OR_RETURN(client_, StartClient(*program_, mount_.client_arguments,
                                        {device_->device(), journal_, device_->clones()}));
  return absl::OkStatus();
}

void Supervisor::WaitForEvent() {
  const absl::Duration wait = std::min(start_at_ - absl::Now(), kLongestWait);
  pollfd events[2] = {{signals_, POLLIN, 0}, {client_.report, POLLIN, 0}};
  const int timeout = static_cast<int>(
      absl::ToInt64Milliseconds(std::max(wait, absl::ZeroDuration()) + absl::Milliseconds(1)));
  if (poll(events, 2, timeout) < 0 && errno != EINTR) {
    return Stop(PosixError(errno, "poll"));
  }
  if (events[1].revents != 0) OnReport();
  signalfd_siginfo info = {};
  while (read(signals_, &info, sizeof info) == sizeof info) {
    OnSignal(static_cast<int>(info.ssi_signo));
  }
  if (ended_.has_value() || absl::Now() < start_at_) return;
  absl::Status started = Start();
  if (!started.ok()) AfterCrash({absl::Now(), std::nullopt, false}, started.ToString());
}

void Supervisor::OnSignal(int number) {
  if (number == SIGCHLD) return OnExit();
  if (number == SIGUSR1) {
    // Once it serves: before, there is nothing to be kept.
    restart_wanted_ = true;
    if (client_.pid != 0 && serves_since_.has_value()) kill(client_.pid, SIGUSR1);
    return;
  }
  stopping_ = true;
  if (client_.pid != 0) {
    kill(client_.pid, SIGTERM);
    return;
  }
  Unmount();  // between two clients
  Stop(absl::OkStatus());
}

void Supervisor::OnReport() {
  char buffer[1024];
  for (;;) {
    const ssize_t n = read(client_.report, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;  // no more for now
    if (n == 0) {
      close(client_.report);
      client_.report = -1;
      break;
    }
    report_.append(buffer, static_cast<size_t>(n));
  }
  for (size_t end = report_.find('\n'); end != std::string::npos; end = report_.find('\n')) {
    const std::string line = report_.substr(0, end);
    report_.erase(0, end + 1);
    OnLine(line);
  }
}

void Supervisor::OnLine(const std::string& line) {
  if (line == "ready") return OnReady();
  absl::string_view text = line;
  if (absl::ConsumePrefix(&text, "error ")) client_error_ = std::string(text);
}

void Supervisor::OnReady() {
  serves_since_ = absl::Now();
  program_before_.reset();
  absl::StatusOr<ProcessId> client = IdentifyProcess(client_.pid);
  if (client.ok()) record_.client = *client;
  absl::Status written = WriteMountRecord(record_);
  if (!written.ok()) SPDLOG_WARN("mount record not written error={}", written.ToString());
  SPDLOG_INFO("client serves pid={} mountpoint={}", client_.pid, record_.mountpoint);
  if (restart_wanted_) kill(client_.pid, SIGUSR1);
  if (was_ready_) return;
  was_ready_ = true;
  if (!mount_.pid_file.empty()) {
    written = WritePidFile(mount_.pid_file, record_.process);
    if (!written.ok()) SPDLOG_WARN("pid file not written error={}", written.ToString());
  }
  on_ready_();
}

void Supervisor::OnExit() {
  int status = 0;
  if (client_.pid == 0 || waitpid(client_.pid, &status, WNOHANG) != client_.pid) return;
  if (client_.report >= 0) OnReport();
  client_.pid = 0;
  if (client_.report >= 0) close(client_.report);
  client_.report = -1;
  AfterExit(status);
}

void Supervisor::AfterExit(int status) {
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (code == 0) return Stop(absl::OkStatus());
  const std::string how =
      client_error_.empty() ? DescribeExit(status) : absl::StrCat("the error: ", client_error_);
  if (stopping_) {
    Unmount();
    return Stop(absl::UnknownError(client_error_.empty() ? how : client_error_));
  }
  if (!was_ready_) {
    return Stop(absl::UnavailableError(
        client_error_.empty() ? absl::StrCat("the client died: ", how) : client_error_));
  }
  if (code == client::kExitRestart && restart_wanted_) {
    restart_wanted_ = false;
    absl::StatusOr<ClientProgram> next = ClientProgram::At(program_path_);
    if (next.ok()) {
      program_before_ = std::move(program_);
      program_ = *std::move(next);
    } else {
      SPDLOG_ERROR("the program before goes on error={}", next.status().ToString());
    }
    SPDLOG_INFO("client ended for another one mountpoint={}", record_.mountpoint);
    start_at_ = absl::Now();
    return;
  }
  RestartPolicy::Death death;
  death.at = absl::Now();
  if (serves_since_.has_value()) death.served = death.at - *serves_since_;
  death.killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  AfterCrash(death, how);
}

void Supervisor::AfterCrash(const RestartPolicy::Death& death, const std::string& how) {
  if (program_before_.has_value()) {
    SPDLOG_ERROR("the new program did not serve, back to the one before how=\"{}\"", how);
    program_ = std::move(program_before_);
    program_before_.reset();
    start_at_ = absl::Now();
    return;
  }
  const std::optional<RestartPolicy::Decision> next = policy_.Died(death);
  if (!next.has_value()) {
    // Nobody closes the mountpoint: who uses it must get ENOTCONN, not what lies below it.
    SPDLOG_ERROR("mount given up: its client died too often mountpoint={} how=\"{}\"",
                 record_.mountpoint, how);
    return Stop(absl::UnavailableError(
        absl::StrCat("its client died too often, the last time with ", how)));
  }
  SPDLOG_ERROR("client died and is started again mountpoint={} how=\"{}\" pause={}",
               record_.mountpoint, how, absl::FormatDuration(next->pause));
  if (next->drop_requests) {
    SPDLOG_ERROR("unanswered requests are dropped: the client may die of one of them");
    const absl::Status dropped = device_->DropUnanswered();
    if (!dropped.ok()) return Stop(dropped);
  }
  start_at_ = death.at + next->pause;
}

// Only what is ours: the client may have taken the mountpoint away before it died.
void Supervisor::Unmount() {
  const std::optional<MountEntry> there = MountAt(PenstockMounts(), record_.mountpoint);
  if (there.has_value() && there->source == mount_.options.fsname) device_->Unmount();
}

void Supervisor::Stop(absl::Status ended) {
  if (!ended_.has_value()) ended_ = std::move(ended);
}

void Supervisor::FinishRecord() {
  if (!mount_.pid_file.empty()) unlink(mount_.pid_file.c_str());
  std::optional<MountRecord> on_disk = ReadMountRecord(record_.mountpoint);
  if (!on_disk.has_value() || on_disk->process != record_.process) return;  // another's
  FinishMountRecord(*std::move(on_disk), *ended_);
}

}  // namespace penstock::cli

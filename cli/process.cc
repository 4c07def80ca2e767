#include "cli/process.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/time/clock.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/file.h"
#include "common/program.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

// /proc files have no size, so they are read to their end.
std::string ReadProcFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// argv for exec; points into `words`.
std::vector<char*> Argv(std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  return argv;
}

void UnblockAllSignals() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
}

// After fork: only async-signal-safe calls, since other threads may have held locks.
[[noreturn]] void ExecDetached(char* const* argv, int log_fd, int error_fd) {
  setsid();
  if (chdir("/") != 0) _exit(126);  // a server must not keep the mount busy it was started from
  UnblockAllSignals();
  const int null_fd = open("/dev/null", O_RDWR);
  dup2(null_fd, 0);
  dup2(log_fd, 1);
  dup2(log_fd, 2);
  execv(argv[0], argv);
  const int error = errno;
  if (write(error_fd, &error, sizeof error) < 0) _exit(126);
  _exit(127);
}

}  // namespace

absl::StatusOr<ProcessId> IdentifyProcess(pid_t pid) {
  const std::string stat = ReadProcFile(absl::StrCat("/proc/", pid, "/stat"));
  const size_t name_end = stat.rfind(')');  // the name may hold anything, brackets too
  if (name_end == std::string::npos) {
    return absl::NotFoundError(absl::StrCat("no process has the pid ", pid));
  }
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(stat).substr(name_end + 1), ' ', absl::SkipEmpty());
  ProcessId process{pid, 0, MachineBootId()};
  if (fields.size() < 20 || !absl::SimpleAtoi(fields[19], &process.start_ticks)) {
    return absl::InternalError(absl::StrCat("/proc/", pid, "/stat makes no sense"));
  }
  if (fields[0] == "Z" || fields[0] == "X") {
    return absl::NotFoundError(absl::StrCat("process ", pid, " has ended"));
  }
  return process;
}

bool IsRunning(const ProcessId& process) {
  absl::StatusOr<ProcessId> now = IdentifyProcess(process.pid);
  return now.ok() && *now == process;
}

std::string PidFileText(const ProcessId& process) {
  return absl::StrCat(process.pid, " ", process.start_ticks, " ", process.boot_id, "\n");
}

std::optional<ProcessId> ParsePidFile(absl::string_view text) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  ProcessId process;
  if (words.size() != 3 || !absl::SimpleAtoi(words[0], &process.pid) || process.pid <= 0 ||
      !absl::SimpleAtoi(words[1], &process.start_ticks)) {
    return std::nullopt;
  }
  process.boot_id = std::string(words[2]);
  return process;
}

absl::Status WritePidFile(const std::string& path, const ProcessId& process) {
  return WriteSmallFile(PosixFileSystem(), path, PidFileText(process));
}

std::optional<ProcessId> RunningProcess(const std::string& pid_file) {
  const std::string text = ReadProcFile(pid_file);
  std::optional<ProcessId> process = ParsePidFile(text);
  if (process.has_value() && !IsRunning(*process)) process.reset();
  return process;
}

absl::StatusOr<ProcessId> StartDaemon(const DaemonSpec& spec) {
  std::vector<std::string> words = spec.arguments;
  words.insert(words.begin(), spec.program);
  const std::vector<char*> argv = Argv(words);
  const int log_fd = open(spec.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log_fd < 0) return PosixError(errno, absl::StrCat("cannot write ", spec.log_file));
  absl::Cleanup close_log = [&] { close(log_fd); };
  int error_pipe[2];
  if (pipe2(error_pipe, O_CLOEXEC) != 0) return PosixError(errno, "pipe");
  // Ctrl-C between fork and pid file would leave a server that nobody finds again.
  sigset_t stop, before;
  sigemptyset(&stop);
  sigaddset(&stop, SIGINT);
  sigaddset(&stop, SIGTERM);
  sigprocmask(SIG_BLOCK, &stop, &before);
  absl::Cleanup unblock = [&] { sigprocmask(SIG_SETMASK, &before, nullptr); };
  const pid_t pid = fork();
  if (pid == 0) ExecDetached(argv.data(), log_fd, error_pipe[1]);
  const int fork_error = errno;
  close(error_pipe[1]);
  int exec_error = 0;
  const bool failed = pid > 0 && read(error_pipe[0], &exec_error, sizeof exec_error) > 0;
  close(error_pipe[0]);
  if (pid < 0) return PosixError(fork_error, absl::StrCat("cannot start ", spec.program));
  if (failed) {
    waitpid(pid, nullptr, 0);
    return PosixError(exec_error,
                      absl::StrCat("cannot run ", spec.program, ": ", strerror(exec_error)));
  }
  ASSIGN_OR_RETURN(ProcessId process, IdentifyProcess(pid));
  RETURN_IF_ERROR(WritePidFile(spec.pid_file, process));
  return process;
}

bool WaitGone(const ProcessId& process, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (IsRunning(process)) {
    if (absl::Now() >= deadline) return false;
    absl::SleepFor(absl::Milliseconds(20));
  }
  return true;
}

absl::StatusOr<bool> StopProcess(const ProcessId& process, absl::Duration grace) {
  if (!IsRunning(process)) return false;
  if (kill(process.pid, SIGTERM) != 0 && errno != ESRCH) {
    return PosixError(errno,
                      absl::StrCat("cannot stop process ", process.pid, ": ", strerror(errno)));
  }
  if (WaitGone(process, grace)) return false;
  kill(process.pid, SIGKILL);
  if (WaitGone(process, absl::Seconds(10))) return true;
  return absl::DeadlineExceededError(
      absl::StrCat("process ", process.pid, " does not even end on SIGKILL; is its disk stuck?"));
}

std::string ExitReason(pid_t pid) {
  int status = 0;
  if (waitpid(pid, &status, WNOHANG) != pid) return "";
  if (WIFEXITED(status)) return absl::StrCat("exit code ", WEXITSTATUS(status));
  if (!WIFSIGNALED(status)) return "";
  return absl::StrCat("signal ", WTERMSIG(status), " (", strsignal(WTERMSIG(status)), ")");
}

absl::StatusOr<ProgramOutput> RunProgram(const std::vector<std::string>& command) {
  std::vector<std::string> words = command;
  const std::vector<char*> argv = Argv(words);
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) return PosixError(errno, "pipe");
  const pid_t pid = fork();
  if (pid == 0) {
    UnblockAllSignals();
    const int null_fd = open("/dev/null", O_RDONLY);
    dup2(null_fd, 0);
    dup2(out[1], 1);
    dup2(out[1], 2);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  close(out[1]);
  absl::Cleanup close_out = [&] { close(out[0]); };
  if (pid < 0) return PosixError(EAGAIN, absl::StrCat("cannot start ", command[0]));
  ProgramOutput output;
  char buffer[4096];
  for (;;) {
    const ssize_t n = read(out[0], buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    output.text.append(buffer, static_cast<size_t>(n));
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  output.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (output.exit_code == 127) {
    return absl::NotFoundError(absl::StrCat("the program ", command[0], " is not there"));
  }
  return output;
}

std::string LastLines(const std::string& path, size_t lines) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return "";
  constexpr std::streamoff kWindow = 16 * 1024;  // enough for the lines that help
  const std::streamoff size = in.tellg();
  in.seekg(std::max<std::streamoff>(0, size - kWindow));
  std::deque<std::string> last;
  for (std::string line; std::getline(in, line);) {
    last.push_back(absl::StrCat("    ", line, "\n"));
    if (last.size() > lines) last.pop_front();
  }
  std::string text;
  for (const std::string& line : last) text += line;
  return text;
}

std::string ProgramDirectory() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "." : self.parent_path().string();
}

}  // namespace penstock::cli

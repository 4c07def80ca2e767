// Processes that outlive the command: started as daemons, found again by their pid files, stopped.
// A pid file names the process by pid, start time and boot, so that a recycled pid is never taken
// for ours (docs/formats/cluster_json.md).
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <absl/time/time.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace penstock::cli {

struct ProcessId {
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // /proc/PID/stat, field 22: clock ticks after boot
  std::string boot_id;
  friend bool operator==(const ProcessId&, const ProcessId&) = default;
};

// NOT_FOUND: no such process (or a zombie).
absl::StatusOr<ProcessId> IdentifyProcess(pid_t pid);
bool IsRunning(const ProcessId& process);

std::string PidFileText(const ProcessId& process);  // "PID START BOOT\n"
std::optional<ProcessId> ParsePidFile(absl::string_view text);
absl::Status WritePidFile(const std::string& path, const ProcessId& process);
// The process that the file names, if it is still running.
std::optional<ProcessId> RunningProcess(const std::string& pid_file);

struct DaemonSpec {
  std::string program;  // path
  std::vector<std::string> arguments;
  std::string log_file;  // takes standard output and error, appended
  std::string pid_file;
};
// Starts it in a session of its own, detached from the terminal, and writes the pid file.
absl::StatusOr<ProcessId> StartDaemon(const DaemonSpec& spec);

// True once it is gone; false after `timeout`.
bool WaitGone(const ProcessId& process, absl::Duration timeout);
// SIGTERM, and SIGKILL after `grace`. True: it had to be killed.
absl::StatusOr<bool> StopProcess(const ProcessId& process, absl::Duration grace);

// Why a child of ours ended, "exit code 1" or "signal 9 (Killed)"; empty when not known.
std::string ExitReason(pid_t pid);

struct ProgramOutput {
  int exit_code = 0;  // 128 + signal when killed by one
  std::string text;   // standard output and error together
};
// Runs a program to its end.
absl::StatusOr<ProgramOutput> RunProgram(const std::vector<std::string>& command);

// The end of a log file for a message, each line indented; empty when there is none.
std::string LastLines(const std::string& path, size_t lines);

// Directory of the running `penstock`; the servers lie beside it.
std::string ProgramDirectory();

}  // namespace penstock::cli

#include "cli/client_process.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/strip.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <utility>

#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr int kOutOfTheWay = 512;  // above all numbers that are given out here

// After fork in a process with one thread. Copies of all descriptors first, out of the way, so that
// none is overwritten by another one's new number.
bool Arrange(const std::vector<int>& descriptors) {
  std::vector<int> copies;
  for (int fd : descriptors) {
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, kOutOfTheWay);
    if (copy < 0) return false;
    copies.push_back(copy);
  }
  int number = kInheritedDevice;
  for (int copy : copies) {
    if (dup2(copy, number++) < 0) return false;
  }
  return true;
}

[[noreturn]] void Exec(const ClientProgram& program, std::vector<std::string>& arguments,
                       const std::vector<int>& descriptors) {
  const int program_fd = fcntl(program.fd(), F_DUPFD_CLOEXEC, kOutOfTheWay);
  if (program_fd < 0 || !Arrange(descriptors)) _exit(126);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  std::vector<char*> argv;
  for (std::string& word : arguments) argv.push_back(word.data());
  argv.push_back(nullptr);
  syscall(SYS_execveat, program_fd, "", argv.data(), environ, AT_EMPTY_PATH);
  _exit(127);
}

void Report(const std::string& line) {
  if (write(kInheritedReport, line.data(), line.size()) < 0) return;  // the supervisor is gone
}

}  // namespace

absl::StatusOr<ClientProgram> ClientProgram::At(const std::string& path) {
  const int fd = open(path.c_str(), O_PATH | O_CLOEXEC);
  if (fd < 0) return PosixError(errno, absl::StrCat("the program ", path, ": ", strerror(errno)));
  return ClientProgram(fd);
}

ClientProgram& ClientProgram::operator=(ClientProgram&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

ClientProgram::~ClientProgram() {
  if (fd_ >= 0) close(fd_);
}

std::string OwnProgramPath() {
  std::error_code error;
  const std::string path = std::filesystem::read_symlink("/proc/self/exe", error).string();
  return std::string(absl::StripSuffix(path, " (deleted)"));
}

absl::StatusOr<ClientProcess> StartClient(const ClientProgram& program,
                                          std::vector<std::string> arguments,
                                          const Inheritance& inheritance) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return PosixError(errno, "pipe");
  std::vector<int> descriptors{inheritance.device, inheritance.journal, report[1]};
  descriptors.insert(descriptors.end(), inheritance.clones.begin(), inheritance.clones.end());
  const pid_t pid = fork();
  if (pid == 0) Exec(program, arguments, descriptors);
  const int error = errno;
  close(report[1]);
  if (pid < 0) {
    close(report[0]);
    return PosixError(error, "cannot start the client: fork");
  }
  fcntl(report[0], F_SETFL, O_NONBLOCK);
  return ClientProcess{pid, report[0]};
}

void ReportReady() { Report("ready\n"); }

void ReportError(const absl::Status& error) {
  Report(absl::StrCat("error ", absl::StrReplaceAll(error.message(), {{"\n", "; "}}), "\n"));
}

}  // namespace penstock::cli

// ClientProcess is one run of a mount's client, as the supervisor starts it: the hidden verb
// `penstock mount-client`, with the mount's descriptors at fixed numbers.
#pragma once

#include <absl/status/statusor.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace penstock::cli {

// The numbers of what the client inherits.
inline constexpr int kInheritedDevice = 3;
inline constexpr int kInheritedJournal = 4;
inline constexpr int kInheritedReport = 5;
inline constexpr int kInheritedClones = 6;  // and upwards

struct Inheritance {
  int device = -1;
  int journal = -1;
  std::vector<int> clones;
};

// A program that can be started again although its file was replaced.
class ClientProgram {
 public:
  // What is found at `path` now.
  static absl::StatusOr<ClientProgram> At(const std::string& path);
  ClientProgram(ClientProgram&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  ClientProgram& operator=(ClientProgram&& other) noexcept;
  ~ClientProgram();
  int fd() const { return fd_; }

 private:
  explicit ClientProgram(int fd) : fd_(fd) {}
  int fd_;
};

struct ClientProcess {
  pid_t pid = 0;
  int report = -1;  // what it says: "ready\n", or "error TEXT\n" when it ends with one
};

// The path of the running program, also after its file was replaced.
std::string OwnProgramPath();

// Must be called from a process with one thread.
absl::StatusOr<ClientProcess> StartClient(const ClientProgram& program,
                                          std::vector<std::string> arguments,
                                          const Inheritance& inheritance);

// The client's side of `report`.
void ReportReady();
void ReportError(const absl::Status& error);

}  // namespace penstock::cli

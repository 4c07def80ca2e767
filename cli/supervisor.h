// Supervisor is the process that a mount lives in: it mounts, keeps /dev/fuse open and runs the
// client, again when it dies. It has one thread, talks to no server and does next to nothing, so
// that it has nothing to die of.
//
// SIGTERM, SIGINT and SIGHUP end the client and with it the mount; SIGUSR1 ends the client gently
// and starts the program that is found at its path now; when that never serves, the one before.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/client_process.h"
#include "cli/mount_table.h"
#include "cli/restart_policy.h"
#include "client/fuse/mount.h"
#include "client/fuse/mount_device.h"

namespace penstock::cli {

struct SupervisedMount {
  client::MountOptions options;
  std::vector<std::string> client_arguments;  // argv of the client
  std::string log_file;
  std::string pid_file;  // empty: none
};

class Supervisor {
 public:
  // `on_ready` runs when the mount answers for the first time.
  Supervisor(SupervisedMount mount, std::function<void()> on_ready);
  ~Supervisor();

  // Mounts and returns when the mount has ended. Must be called in a process with one thread.
  absl::Status Run();

 private:
  absl::Status Begin();
  absl::Status Start();
  void WaitForEvent();
  void OnSignal(int number);
  void OnReport();
  void OnLine(const std::string& line);
  void OnReady();
  void OnExit();
  void AfterExit(int status);
  void AfterCrash(const RestartPolicy::Death& death, const std::string& how);
  void Unmount();
  void Stop(absl::Status ended);
  void FinishRecord();

  const SupervisedMount mount_;
  const std::function<void()> on_ready_;
  RestartPolicy policy_;
  std::unique_ptr<client::MountDevice> device_;
  int journal_ = -1;
  int signals_ = -1;
  std::string program_path_;
  std::optional<ClientProgram> program_;         // of the client that runs
  std::optional<ClientProgram> program_before_;  // while a new one has not served yet
  ClientProcess client_;                         // pid 0: none
  std::string report_;                           // the beginning of a line
  std::string client_error_;                     // of the client that runs
  std::optional<absl::Time> serves_since_;       // it, too
  absl::Time start_at_ = absl::InfiniteFuture();
  bool was_ready_ = false;
  bool stopping_ = false;
  bool restart_wanted_ = false;
  std::optional<absl::Status> ended_;
  MountRecord record_;
};

}  // namespace penstock::cli

// A machine as a test wants it: everything is well until the test says otherwise.
#pragma once

#include <map>

#include "cli/doctor/machine.h"
#include "common/units.h"

namespace penstock::cli {

class FakeMachine : public Machine {
 public:
  std::string HostName() const override { return "node1"; }
  std::string KernelRelease() const override { return kernel; }
  bool IsRoot() const override { return root; }
  absl::Status OpenDevice(const std::string& path) const override {
    return path == "/dev/fuse" ? fuse : absl::NotFoundError(path);
  }
  bool HasProgram(const std::string& name) const override { return programs.contains(name); }
  Limit OpenFiles() const override { return open_files; }
  Limit LockedMemory() const override { return locked_memory; }
  std::vector<std::string> RdmaDevices() const override { return rdma; }
  absl::StatusOr<DirectoryFacts> LookAt(const std::string& directory) const override {
    auto found = directories.find(directory);
    if (found == directories.end()) return absl::NotFoundError(directory + ": no such directory");
    return found->second;
  }
  std::string PortUser(uint16_t port) const override {
    auto user = port_users.find(port);
    return user == port_users.end() ? "" : user->second;
  }
  bool CanListen(const std::string&, uint16_t port) const override {
    return !port_users.contains(port);
  }
  std::optional<InterfaceFacts> InterfaceTowards(const std::string& host) const override {
    auto found = interfaces.find(host);
    if (found == interfaces.end()) return std::nullopt;
    return found->second;
  }
  absl::Time Now() const override { return now; }
  absl::StatusOr<absl::Time> CertificateEnds(const std::string& path) const override {
    auto found = certificates.find(path);
    if (found == certificates.end()) return absl::NotFoundError(path);
    return found->second;
  }

  std::string kernel = "6.12.1";
  bool root = true;
  absl::Status fuse;
  std::map<std::string, bool> programs = {{"fusermount3", true}};
  Limit open_files = {1 << 20, 1 << 20};
  Limit locked_memory = {8 * kMiB, 8 * kMiB};
  std::vector<std::string> rdma;
  std::map<std::string, DirectoryFacts> directories;
  std::map<uint16_t, std::string> port_users;
  std::map<std::string, InterfaceFacts> interfaces;
  std::map<std::string, absl::StatusOr<absl::Time>> certificates;
  absl::Time now = absl::FromUnixSeconds(1'700'000'000);
};

}  // namespace penstock::cli

// The machine that this process runs on.
#pragma once

#include "cli/doctor/machine.h"

namespace penstock::cli {

class RealMachine : public Machine {
 public:
  std::string HostName() const override;
  std::string KernelRelease() const override;
  bool IsRoot() const override;
  absl::Status OpenDevice(const std::string& path) const override;
  bool HasProgram(const std::string& name) const override;
  Limit OpenFiles() const override;
  Limit LockedMemory() const override;
  std::vector<std::string> RdmaDevices() const override;
  absl::StatusOr<DirectoryFacts> LookAt(const std::string& directory) const override;
  std::string PortUser(uint16_t port) const override;
  bool CanListen(const std::string& host, uint16_t port) const override;
  std::optional<InterfaceFacts> InterfaceTowards(const std::string& host) const override;
  absl::Time Now() const override;
  absl::StatusOr<absl::Time> CertificateEnds(const std::string& path) const override;
};

}  // namespace penstock::cli

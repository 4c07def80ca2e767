// Machine is what `penstock doctor` asks of the machine that it runs on. Nothing of it changes
// anything, or waits for a network.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace penstock::cli {

struct Limit {
  uint64_t soft = 0;  // UINT64_MAX: none
  uint64_t hard = 0;
};

struct DirectoryFacts {
  std::string file_system;  // "ext4", "xfs", "tmpfs", ...: "0x1234" for one without a name here
  uint64_t capacity_bytes = 0;
  uint64_t free_bytes = 0;
  uint64_t device = 0;  // equal for directories on one file system
  bool read_only = false;
};

struct InterfaceFacts {
  std::string name;
  uint32_t mtu = 0;
};

class Machine {
 public:
  virtual ~Machine() = default;
  virtual std::string HostName() const = 0;
  virtual std::string KernelRelease() const = 0;  // "6.1.0-18-amd64"
  virtual bool IsRoot() const = 0;
  // OK when it can be opened to read and write.
  virtual absl::Status OpenDevice(const std::string& path) const = 0;
  virtual bool HasProgram(const std::string& name) const = 0;
  virtual Limit OpenFiles() const = 0;
  virtual Limit LockedMemory() const = 0;
  virtual std::vector<std::string> RdmaDevices() const = 0;
  virtual absl::StatusOr<DirectoryFacts> LookAt(const std::string& directory) const = 0;
  // "nginx (pid 123)"; empty: nobody, or only root may see who.
  virtual std::string PortUser(uint16_t port) const = 0;
  virtual bool CanListen(const std::string& host, uint16_t port) const = 0;
  // Through which a packet to `host` would leave; nullopt when there is no route.
  virtual std::optional<InterfaceFacts> InterfaceTowards(const std::string& host) const = 0;
  virtual absl::Time Now() const = 0;
  // NOT_FOUND: there is no such file.
  virtual absl::StatusOr<absl::Time> CertificateEnds(const std::string& path) const = 0;
};

}  // namespace penstock::cli

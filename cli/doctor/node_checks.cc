#include "cli/doctor/node_checks.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <cstdio>

#include "cli/address.h"
#include "cli/human.h"

namespace penstock::cli {
namespace {

constexpr std::pair<int, int> kOldest = {5, 10};        // what Penstock is tried on
constexpr std::pair<int, int> kKeepsRequests = {6, 9};  // FUSE_NOTIFY_RESEND
constexpr uint64_t kOpenFiles = 8192;                   // connections, slabs, index files
constexpr uint64_t kLockedMemory = uint64_t{1} << 30;   // buffers that a card reads

std::string Shown(uint64_t limit) {
  return limit == UINT64_MAX ? "unlimited" : absl::StrCat(limit);
}

Finding Kernel(const Machine& machine) {
  const std::string release = machine.KernelRelease();
  const std::pair<int, int> version = KernelVersion(release);
  const std::string text = absl::StrCat("Linux ", release);
  if (version < kOldest) {
    return Warning("kernel", absl::StrCat(text, " is older than what Penstock is tried on"),
                   absl::StrCat("take Linux ", kOldest.first, ".", kOldest.second,
                                " or later; Debian 12 has 6.1"));
  }
  if (version < kKeepsRequests) {
    return Ok("kernel", absl::StrCat(text,
                                     ": mounts work; from 6.9 on, calls under way outlive a "
                                     "restart of a mount's client"));
  }
  return Ok("kernel", text);
}

Finding Fuse(const Machine& machine) {
  const absl::Status opened = machine.OpenDevice("/dev/fuse");
  if (opened.ok()) return Ok("fuse", "/dev/fuse can be opened: this machine can mount");
  return Warning("fuse", absl::StrCat("nothing can be mounted here: ", opened.message()),
                 "modprobe fuse; in a container --device /dev/fuse --cap-add SYS_ADMIN (a machine "
                 "with servers alone needs no FUSE)");
}

Finding FuserMount(const Machine& machine) {
  if (machine.HasProgram("fusermount3")) return Ok("fusermount3", "is installed");
  if (machine.IsRoot()) return Ok("fusermount3", "is not installed; root needs it not");
  return Warning("fusermount3", "is not installed, so only root can mount",
                 "install the package fuse3, or mount as root");
}

Finding OpenFiles(const Machine& machine) {
  const Limit limit = machine.OpenFiles();
  const std::string text =
      absl::StrCat("open files: ", Shown(limit.soft), ", at most ", Shown(limit.hard));
  if (limit.soft >= kOpenFiles) return Ok("nofile", text);
  return Warning("nofile", absl::StrCat(text, ": too few for many clients or large targets"),
                 absl::StrCat("ulimit -n ", kOpenFiles,
                              ", or LimitNOFILE= of the systemd unit "
                              "(deploy/systemd has it)"));
}

Finding Rdma(const std::vector<std::string>& devices) {
  if (devices.empty()) return Ok("rdma", "there is no RDMA device: TCP is used");
  return Ok("rdma", absl::StrCat("RDMA devices: ", absl::StrJoin(devices, ", ")));
}

// Buffers for RDMA are locked memory; TCP wants none.
Finding LockedMemory(const Machine& machine, bool has_devices) {
  const Limit limit = machine.LockedMemory();
  const std::string text = absl::StrCat(
      "locked memory: ", limit.soft == UINT64_MAX ? "unlimited" : HumanBytes(limit.soft));
  if (!has_devices || limit.soft >= kLockedMemory) return Ok("memlock", text);
  return Warning("memlock", absl::StrCat(text, " is too little for the buffers of an RDMA device"),
                 "ulimit -l unlimited, or LimitMEMLOCK=infinity of the systemd unit");
}

}  // namespace

std::pair<int, int> KernelVersion(const std::string& release) {
  int major = 0, minor = 0;
  if (std::sscanf(release.c_str(), "%d.%d", &major, &minor) != 2) return {0, 0};
  return {major, minor};
}

Findings CheckNode(const Machine& machine) {
  const std::vector<std::string> rdma = machine.RdmaDevices();
  return {Kernel(machine),    Fuse(machine), FuserMount(machine),
          OpenFiles(machine), Rdma(rdma),    LockedMemory(machine, !rdma.empty())};
}

Findings CheckDefaultPorts(const Machine& machine) {
  Findings findings;
  for (const uint16_t port : {kDefaultPort, static_cast<uint16_t>(kDefaultPort + 1)}) {
    if (machine.CanListen("127.0.0.1", port)) {
      findings.push_back(Ok("ports", absl::StrCat("port ", port, " is free")));
      continue;
    }
    const std::string user = machine.PortUser(port);
    findings.push_back(Warning(
        "ports",
        absl::StrCat("port ", port, " is used by ", user.empty() ? "another program" : user),
        "a metaserver here takes other ones with --port and --grpc-port, `penstock up` with "
        "--base-port"));
  }
  return findings;
}

}  // namespace penstock::cli

#include "cli/doctor/real_machine.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_split.h>
#include <absl/time/clock.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/magic.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "cli/certificates.h"
#include "cli/paths.h"
#include "cli/port_user.h"
#include "cli/servers.h"
#include "common/file.h"
#include "common/program.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr uint16_t kAnyPort = 7400;  // nothing is sent

std::string FileSystemName(int64_t magic) {
  switch (magic) {
    case EXT4_SUPER_MAGIC:
      return "ext4";
    case XFS_SUPER_MAGIC:
      return "xfs";
    case BTRFS_SUPER_MAGIC:
      return "btrfs";
    case TMPFS_MAGIC:
      return "tmpfs";
    case RAMFS_MAGIC:
      return "ramfs";
    case OVERLAYFS_SUPER_MAGIC:
      return "overlay";
    case NFS_SUPER_MAGIC:
      return "nfs";
    case FUSE_SUPER_MAGIC:
      return "fuse";
    case 0x2fc12fc1:
      return "zfs";
    case 0x00c36400:
      return "ceph";
    default:
      return absl::StrFormat("0x%x", magic);
  }
}

Limit LimitOf(__rlimit_resource_t resource) {
  rlimit limit = {};
  getrlimit(resource, &limit);
  const auto plain = [](rlim_t value) { return value == RLIM_INFINITY ? UINT64_MAX : value; };
  return {plain(limit.rlim_cur), plain(limit.rlim_max)};
}

// The address that the kernel would send from; a datagram socket sends nothing by connecting.
absl::StatusOr<sockaddr_storage> SourceTowards(const std::string& host) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), absl::StrCat(kAnyPort).c_str(), &hints, &found) != 0) {
    return absl::NotFoundError("no such host");
  }
  absl::Cleanup free_it = [&] { freeaddrinfo(found); };
  const int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return PosixError(errno, "socket");
  absl::Cleanup close_it = [&] { close(fd); };
  if (connect(fd, found->ai_addr, found->ai_addrlen) != 0) return PosixError(errno, "no route");
  sockaddr_storage source = {};
  socklen_t size = sizeof source;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&source), &size) != 0) {
    return PosixError(errno, "getsockname");
  }
  return source;
}

bool SameHost(const sockaddr* one, const sockaddr_storage& other) {
  if (one == nullptr || one->sa_family != other.ss_family) return false;
  if (one->sa_family == AF_INET) {
    return reinterpret_cast<const sockaddr_in*>(one)->sin_addr.s_addr ==
           reinterpret_cast<const sockaddr_in&>(other).sin_addr.s_addr;
  }
  if (one->sa_family != AF_INET6) return false;
  return std::memcmp(&reinterpret_cast<const sockaddr_in6*>(one)->sin6_addr,
                     &reinterpret_cast<const sockaddr_in6&>(other).sin6_addr,
                     sizeof(in6_addr)) == 0;
}

}  // namespace

std::string RealMachine::HostName() const { return penstock::HostName(); }

std::string RealMachine::KernelRelease() const {
  utsname name = {};
  return uname(&name) == 0 ? name.release : "";
}

bool RealMachine::IsRoot() const { return geteuid() == 0; }

absl::Status RealMachine::OpenDevice(const std::string& path) const {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return PosixError(errno, absl::StrCat(path, ": ", strerror(errno)));
  close(fd);
  return absl::OkStatus();
}

bool RealMachine::HasProgram(const std::string& name) const {
  std::vector<std::string> folders = absl::StrSplit(Environment("PATH"), ':', absl::SkipEmpty());
  folders.insert(folders.end(), {"/usr/bin", "/bin", "/usr/local/bin"});
  return std::any_of(folders.begin(), folders.end(), [&](const std::string& folder) {
    return access(absl::StrCat(folder, "/", name).c_str(), X_OK) == 0;
  });
}

Limit RealMachine::OpenFiles() const { return LimitOf(RLIMIT_NOFILE); }
Limit RealMachine::LockedMemory() const { return LimitOf(RLIMIT_MEMLOCK); }

std::vector<std::string> RealMachine::RdmaDevices() const {
  std::vector<std::string> devices;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/class/infiniband", error)) {
    devices.push_back(entry.path().filename());
  }
  std::sort(devices.begin(), devices.end());
  return devices;
}

absl::StatusOr<DirectoryFacts> RealMachine::LookAt(const std::string& directory) const {
  struct stat info = {};
  struct statfs space = {};
  if (stat(directory.c_str(), &info) != 0 || statfs(directory.c_str(), &space) != 0) {
    return PosixError(errno, absl::StrCat(directory, ": ", strerror(errno)));
  }
  DirectoryFacts facts;
  facts.file_system = FileSystemName(space.f_type);
  facts.capacity_bytes = space.f_blocks * static_cast<uint64_t>(space.f_bsize);
  facts.free_bytes = space.f_bavail * static_cast<uint64_t>(space.f_bsize);
  facts.device = info.st_dev;
  facts.read_only = (space.f_flags & ST_RDONLY) != 0;
  return facts;
}

std::string RealMachine::PortUser(uint16_t port) const { return cli::PortUser(port); }

bool RealMachine::CanListen(const std::string& host, uint16_t port) const {
  return CheckPortFree(host, port).ok();
}

std::optional<InterfaceFacts> RealMachine::InterfaceTowards(const std::string& host) const {
  const absl::StatusOr<sockaddr_storage> source = SourceTowards(host);
  if (!source.ok()) return std::nullopt;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return std::nullopt;
  absl::Cleanup free_it = [&] { freeifaddrs(all); };
  for (const ifaddrs* it = all; it != nullptr; it = it->ifa_next) {
    if (!SameHost(it->ifa_addr, *source)) continue;
    InterfaceFacts facts{.name = it->ifa_name};
    auto mtu =
        ReadSmallFile(PosixFileSystem(), absl::StrCat("/sys/class/net/", facts.name, "/mtu"));
    if (mtu.ok()) (void)absl::SimpleAtoi(*mtu, &facts.mtu);
    return facts;
  }
  return std::nullopt;
}

absl::Time RealMachine::Now() const { return absl::Now(); }

absl::StatusOr<absl::Time> RealMachine::CertificateEnds(const std::string& path) const {
  if (access(path.c_str(), F_OK) != 0) return absl::NotFoundError(path);
  ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(PosixFileSystem(), path));
  ASSIGN_OR_RETURN(const CertificateInfo info, DescribeCertificate(text));
  return info.ends;
}

}  // namespace penstock::cli

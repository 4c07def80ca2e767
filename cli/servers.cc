#include "cli/servers.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/port_user.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

// What both programs take.
std::vector<std::string> CommonArguments(const ClusterDirectory& dir, const ClusterFile& file,
                                         const std::string& name) {
  return {"--cluster-id", file.cluster_id,       "--listen",   file.metaserver.host,
          "--advertise",  file.metaserver.host,  "--key-file", dir.Key("cluster.key"),
          "--tls-ca",     dir.Key("ca.crt"),     "--tls-cert", dir.Key("server.crt"),
          "--tls-key",    dir.Key("server.key"), "--log-file", dir.Log(name),
          "--transport",  file.transport};
}

void Append(std::vector<std::string>& arguments, std::vector<std::string> more) {
  for (std::string& word : more) arguments.push_back(std::move(word));
}

ServerSpec Metaserver(const ClusterDirectory& dir, const ClusterFile& file) {
  const std::string name = kMetaserverName;
  size_t targets = 0;
  for (const ChunkServerEntry& server : file.chunkservers) targets += server.targets.size();
  std::vector<std::string> arguments = CommonArguments(dir, file, name);
  Append(arguments, {"--dir", dir.Below("meta"), "--port", absl::StrCat(file.metaserver.port),
                     "--grpc-port", absl::StrCat(file.grpc_port), "--replication",
                     absl::StrCat(file.replication), "--initial-targets", absl::StrCat(targets)});
  return {name,
          {file.metaserver.port, file.grpc_port},
          {ProgramDirectory() + "/penstock-metaserver", arguments, dir.Log(name), dir.Pid(name)}};
}

ServerSpec Chunkserver(const ClusterDirectory& dir, const ClusterFile& file,
                       const ChunkServerEntry& entry) {
  std::vector<std::string> arguments = CommonArguments(dir, file, entry.name);
  Append(arguments, {"--dir", dir.Below(entry.name), "--port", absl::StrCat(entry.port),
                     "--metaserver", HostPort{file.metaserver.host, file.grpc_port}.ToString()});
  for (const std::string& target : entry.targets) {
    Append(arguments, {"--target", dir.Below(target)});
  }
  return {entry.name,
          {entry.port},
          {ProgramDirectory() + "/penstock-chunkserver", arguments, dir.Log(entry.name),
           dir.Pid(entry.name)}};
}

bool MakeAddress(const std::string& host, uint16_t port, sockaddr_in* address) {
  *address = {};
  address->sin_family = AF_INET;
  address->sin_port = htons(port);
  return inet_pton(AF_INET, host.c_str(), &address->sin_addr) == 1;
}

}  // namespace

std::vector<ServerSpec> ServersOf(const ClusterDirectory& dir, const ClusterFile& file) {
  std::vector<ServerSpec> servers = {Metaserver(dir, file)};
  for (const ChunkServerEntry& entry : file.chunkservers) {
    servers.push_back(Chunkserver(dir, file, entry));
  }
  return servers;
}

absl::Status CheckPortFree(const std::string& host, uint16_t port) {
  sockaddr_in address;
  if (!MakeAddress(host, port, &address)) return absl::OkStatus();
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return PosixError(errno, "socket");
  absl::Cleanup close_it = [&] { close(fd); };
  const int on = 1;  // as the servers do: connections of a server just ended do not matter
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && listen(fd, 1) == 0) {
    return absl::OkStatus();
  }
  const int error = errno;
  const std::string user = error == EADDRINUSE ? PortUser(port) : "";
  return PosixError(error, absl::StrCat("port ", port, " of ", host, " cannot be used: ",
                                        user.empty() ? strerror(error) : user + " listens on it"));
}

bool SomebodyListens(const std::string& host, uint16_t port) {
  sockaddr_in address;
  if (!MakeAddress(host, port, &address)) return false;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  absl::Cleanup close_it = [&] { close(fd); };
  return connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

absl::StatusOr<DirectoryLock> DirectoryLock::Take(const ClusterDirectory& dir) {
  const std::string path = dir.Below("run/lock");
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return PosixError(errno, absl::StrCat("cannot open ", path, ": ", strerror(errno)));
  DirectoryLock lock(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  return PosixError(EBUSY, absl::StrCat("another `penstock up` or `down` is at work in ", dir.root,
                                        "; try again when it has ended"));
}

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace penstock::cli

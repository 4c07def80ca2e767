#include "common/net/tcp_transport.h"

#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/net/tcp_link.h"
#include "common/status.h"

namespace penstock::net {
namespace {

constexpr int kBacklog = 4096;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

std::string ToString(SocketAddress& address) {
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (getnameinfo(address.get(), address.length, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "?";
  }
  const bool v6 = address.storage.ss_family == AF_INET6;
  return absl::StrCat(v6 ? "[" : "", host, v6 ? "]:" : ":", port);
}

absl::StatusOr<SocketAddress> Resolve(const std::string& host, uint32_t port, int flags) {
  if (port > 65535) return absl::InvalidArgumentError(absl::StrCat("no such port: ", port));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int err = getaddrinfo(host.c_str(), absl::StrCat(port).c_str(), &hints, &found);
  if (err != 0 || found == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("address ", host, " port ", port, ": ", gai_strerror(err)));
  }
  SocketAddress address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.length = found->ai_addrlen;
  freeaddrinfo(found);
  return address;
}

bool OutOfResources(int err) {
  return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

absl::Status CannotConnect(const std::string& where, int err) {
  return absl::UnavailableError(absl::StrCat("connect to ", where, ": ", std::strerror(err)));
}

class TcpListener : public Listener {
 public:
  TcpListener(int fd, uint16_t port) : fd_(fd), port_(port) {}
  ~TcpListener() override { close(fd_); }

  absl::StatusOr<std::unique_ptr<Link>> Accept() override {
    SocketAddress peer;
    const int fd = accept4(fd_, peer.get(), &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) return std::make_unique<TcpLink>(fd, ToString(peer));
    if (OutOfResources(errno)) {
      return PosixError(EMFILE, absl::StrCat("accept: ", std::strerror(errno)));
    }
    return nullptr;  // nobody waits, or the one who did is gone: the next event tells
  }
  int fd() const override { return fd_; }
  uint16_t port() const override { return port_; }

 private:
  const int fd_;
  const uint16_t port_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Link>> TcpTransport::Connect(const wire::Address& address,
                                                            const WaitLimit& limit) {
  auto target = Resolve(address.host(), address.port(), AI_NUMERICHOST);
  if (!target.ok()) target = Resolve(address.host(), address.port(), 0);
  if (!target.ok()) return absl::UnavailableError(target.status().message());
  const std::string where = ToString(*target);
  const int fd =
      socket(target->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (fd < 0) return CannotConnect(where, errno);
  auto link = std::make_unique<TcpLink>(fd, where);  // owns fd from here
  if (connect(fd, target->get(), target->length) == 0) return link;
  if (errno != EINPROGRESS && errno != EINTR) return CannotConnect(where, errno);
  auto ready = WaitFor(fd, POLLOUT, limit);
  if (!ready.ok()) return Annotate(ready.status(), absl::StrCat("connect to ", where));
  int err = 0;
  socklen_t length = sizeof err;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length) != 0) err = errno;
  if (err != 0) return CannotConnect(where, err);
  return link;
}

absl::StatusOr<std::unique_ptr<Listener>> TcpTransport::Listen(const std::string& host,
                                                               uint16_t port) {
  ASSIGN_OR_RETURN(SocketAddress address, Resolve(host, port, AI_NUMERICHOST | AI_PASSIVE));
  const std::string where = ToString(address);
  const int fd =
      socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (fd < 0) return PosixError(errno, absl::StrCat("socket: ", std::strerror(errno)));
  const int on = 1;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, address.get(), address.length) != 0 || listen(fd, kBacklog) != 0) {
    const int err = errno;
    close(fd);
    return PosixError(err, absl::StrCat("listen on ", where, ": ", std::strerror(err)));
  }
  SocketAddress bound;
  if (getsockname(fd, bound.get(), &bound.length) != 0) {
    const int err = errno;
    close(fd);
    return PosixError(err, absl::StrCat("getsockname: ", std::strerror(err)));
  }
  const uint16_t bound_port =
      bound.storage.ss_family == AF_INET6
          ? ntohs(reinterpret_cast<sockaddr_in6*>(&bound.storage)->sin6_port)
          : ntohs(reinterpret_cast<sockaddr_in*>(&bound.storage)->sin_port);
  return std::make_unique<TcpListener>(fd, bound_port);
}

}  // namespace penstock::net

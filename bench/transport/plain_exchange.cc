#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "bench/transport/exchange.h"
#include "common/status.h"

namespace penstock::bench {
namespace {

constexpr uint32_t kLongestPayload = 64 << 20;

// As long as a frame's header and a small message, so that both send the same number of bytes.
struct Head {
  uint32_t mark = 0;
  uint32_t payload_bytes = 0;  // that follow
  uint32_t reply_bytes = 0;
  char filler[68] = {};
};

absl::Status SendAll(int fd, const void* data, size_t bytes) {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t n = send(fd, from, bytes, MSG_NOSIGNAL);
    if (n <= 0) return absl::UnavailableError("the peer went away");
    from += n, bytes -= n;
  }
  return absl::OkStatus();
}

absl::Status ReceiveAll(int fd, void* data, size_t bytes) {
  char* into = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t n = recv(fd, into, bytes, 0);
    if (n <= 0) return absl::UnavailableError("the peer went away");
    into += n, bytes -= n;
  }
  return absl::OkStatus();
}

// Head and payload in one call, as a framed protocol would.
absl::Status SendMessage(int fd, Head& head, char* payload) {
  iovec parts[2] = {{&head, sizeof head}, {payload, head.payload_bytes}};
  msghdr message = {};
  message.msg_iov = parts;
  message.msg_iovlen = head.payload_bytes > 0 ? 2 : 1;
  const ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
  if (n < static_cast<ssize_t>(sizeof head)) return absl::UnavailableError("the peer went away");
  const size_t sent = n - sizeof head;
  return SendAll(fd, payload + sent, head.payload_bytes - sent);
}

absl::StatusOr<sockaddr_in> AddressOf(const std::string& host, uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    return absl::InvalidArgumentError(host + " is no IPv4 address");
  }
  return address;
}

void NoDelay(int fd) {
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

void Serve(int fd) {
  NoDelay(fd);
  std::vector<char> payload;
  Head head;
  while (ReceiveAll(fd, &head, sizeof head).ok()) {
    if (head.payload_bytes > kLongestPayload || head.reply_bytes > kLongestPayload) break;
    payload.resize(std::max<size_t>({payload.size(), head.payload_bytes, head.reply_bytes}));
    if (!ReceiveAll(fd, payload.data(), head.payload_bytes).ok()) break;
    if (!Marked(payload.data(), head.payload_bytes, head.mark)) break;
    Head reply;
    reply.mark = head.mark;
    reply.payload_bytes = head.reply_bytes;
    Mark(payload.data(), head.reply_bytes, head.mark);
    if (!SendMessage(fd, reply, payload.data()).ok()) break;
  }
  close(fd);
}

class PlainServer : public ExchangeServer {
 public:
  explicit PlainServer(const ExchangeOptions& options) : options_(options) {}

  absl::StatusOr<uint16_t> Start() override {
    absl::StatusOr<sockaddr_in> address = AddressOf(options_.server_host, 0);
    if (!address.ok()) return address.status();
    socklen_t length = sizeof *address;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    auto* generic = reinterpret_cast<sockaddr*>(&*address);
    if (listener < 0 || bind(listener, generic, length) != 0 || listen(listener, 128) != 0 ||
        getsockname(listener, generic, &length) != 0) {
      return PosixError(errno, "cannot listen on " + options_.server_host);
    }
    std::thread([listener] {
      while (true) {
        const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd >= 0) std::thread(Serve, fd).detach();
      }
    }).detach();
    return ntohs(address->sin_port);
  }

 private:
  const ExchangeOptions options_;
};

class PlainExchange : public Exchange {
 public:
  explicit PlainExchange(int fd) : fd_(fd) {}
  ~PlainExchange() override { close(fd_); }

  absl::Status Call(const ExchangeSize& size) override {
    payload_.resize(std::max<size_t>({payload_.size(), size.send_bytes, size.receive_bytes}));
    Head head;
    head.mark = ++mark_;
    head.payload_bytes = size.send_bytes;
    head.reply_bytes = size.receive_bytes;
    Mark(payload_.data(), size.send_bytes, mark_);
    RETURN_IF_ERROR(SendMessage(fd_, head, payload_.data()));
    RETURN_IF_ERROR(ReceiveAll(fd_, &head, sizeof head));
    RETURN_IF_ERROR(ReceiveAll(fd_, payload_.data(), size.receive_bytes));
    if (head.payload_bytes != size.receive_bytes || head.mark != mark_ ||
        !Marked(payload_.data(), size.receive_bytes, mark_)) {
      return absl::DataLossError("a reply is wrong");
    }
    return absl::OkStatus();
  }

 private:
  const int fd_;
  std::vector<char> payload_;
  uint32_t mark_ = 0;
};

class PlainClient : public ExchangeClient {
 public:
  PlainClient(const ExchangeOptions& options, uint16_t port) : options_(options), port_(port) {}

  absl::StatusOr<std::unique_ptr<Exchange>> Open() override {
    ASSIGN_OR_RETURN(sockaddr_in server, AddressOf(options_.server_host, port_));
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return PosixError(errno, "no socket");
    auto exchange = std::make_unique<PlainExchange>(fd);
    NoDelay(fd);
    if (connect(fd, reinterpret_cast<sockaddr*>(&server), sizeof server) != 0) {
      return PosixError(errno, "cannot connect to " + options_.server_host);
    }
    return exchange;
  }

 private:
  const ExchangeOptions options_;
  const uint16_t port_;
};

}  // namespace

ExchangeKind PlainSockets(const ExchangeOptions& options) {
  return {[options] { return std::make_unique<PlainServer>(options); },
          [options](uint16_t port) { return std::make_unique<PlainClient>(options, port); }};
}

}  // namespace penstock::bench

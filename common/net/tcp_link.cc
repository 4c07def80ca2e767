#include "common/net/tcp_link.h"

#include <absl/strings/str_cat.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/status.h"

namespace penstock::net {
namespace {

constexpr size_t kMaxParts = 64;  // of one system call
constexpr int kDiscardTurns = 64;

using Parts = absl::InlinedVector<iovec, 4>;

// Appends what is left of `from` after `skip` bytes, up to kMaxParts.
void AppendRest(absl::Span<const iovec> from, size_t skip, Parts* parts) {
  for (const iovec& part : from) {
    if (skip >= part.iov_len) {
      skip -= part.iov_len;
      continue;
    }
    if (parts->size() == kMaxParts) return;
    parts->push_back({static_cast<char*>(part.iov_base) + skip, part.iov_len - skip});
    skip = 0;
  }
}

void SetOption(int fd, int level, int name, int value) {
  (void)setsockopt(fd, level, name, &value, sizeof value);  // a refused option costs speed only
}

}  // namespace

TcpLink::TcpLink(int fd, std::string peer_address)
    : fd_(fd), peer_address_(std::move(peer_address)) {
  SetOption(fd_, IPPROTO_TCP, TCP_NODELAY, 1);
  // A peer whose machine vanished is noticed even when this side only waits.
  SetOption(fd_, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetOption(fd_, IPPROTO_TCP, TCP_KEEPIDLE, 10);
  SetOption(fd_, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  SetOption(fd_, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

TcpLink::~TcpLink() { Close(); }

void TcpLink::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

absl::Status TcpLink::Broken(absl::string_view what, int err) const {
  return absl::UnavailableError(absl::StrCat(what, " peer=", peer_address_, err != 0 ? ": " : "",
                                             err != 0 ? std::strerror(err) : ""));
}

absl::StatusOr<Progress> TcpLink::Send(OutgoingFrame* frame) {
  const size_t total = frame->head.size() + TotalBytes(frame->payload);
  while (frame->sent_bytes < total) {
    Parts parts;
    const iovec head{frame->head.data(), frame->head.size()};
    AppendRest({&head, 1}, frame->sent_bytes, &parts);
    AppendRest(frame->payload, frame->sent_bytes - std::min(frame->sent_bytes, head.iov_len),
               &parts);
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    const ssize_t sent = sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Progress::kAgain;
    if (sent < 0) return Broken("send failed", errno);
    frame->sent_bytes += static_cast<size_t>(sent);
  }
  return Progress::kDone;
}

absl::StatusOr<Progress> TcpLink::ReceiveHead() {
  while (!reader_.head_ready()) {
    const absl::Span<char> space = reader_.Space();
    const ssize_t got = recv(fd_, space.data(), space.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Progress::kAgain;
    if (got < 0) return Broken("receive failed", errno);
    if (got == 0) return Broken("connection closed by", 0);
    RETURN_IF_ERROR(reader_.Advance(static_cast<size_t>(got)));
    // The socket is empty now: asking again would only cost a system call.
    if (!reader_.head_ready() && static_cast<size_t>(got) < space.size()) return Progress::kAgain;
  }
  return Progress::kDone;
}

absl::StatusOr<Progress> TcpLink::ReceivePayload(IncomingPayload* payload) {
  const size_t total = TotalBytes(payload->into);
  while (payload->received_bytes < total) {
    Parts parts;
    AppendRest(payload->into, payload->received_bytes, &parts);
    if (reader_.buffered_bytes() != 0) {
      payload->received_bytes +=
          reader_.TakePayload({static_cast<char*>(parts[0].iov_base), parts[0].iov_len});
      continue;
    }
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    const ssize_t got = recvmsg(fd_, &message, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Progress::kAgain;
    if (got < 0) return Broken("receive failed", errno);
    if (got == 0) return Broken("connection closed amid a payload by", 0);
    payload->received_bytes += static_cast<size_t>(got);
  }
  return Progress::kDone;
}

absl::StatusOr<Progress> TcpLink::Linger() {
  if (!shut_) (void)shutdown(fd_, SHUT_WR);
  shut_ = true;
  char scratch[64 * 1024];
  for (int turn = 0; turn < kDiscardTurns; ++turn) {
    const ssize_t got = recv(fd_, scratch, sizeof scratch, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Progress::kAgain;
    if (got < 0) return Broken("receive failed", errno);
    if (got == 0) return Progress::kDone;
  }
  return Progress::kAgain;
}

bool TcpLink::Stale() {
  char byte;
  const ssize_t got = recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return !(got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

}  // namespace penstock::net

#include "common/net/rpc_client_pool.h"

#include <absl/strings/str_cat.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "common/status.h"

namespace penstock::net {
namespace {

// A connection idle for longer is looked at before use: the server may have restarted meanwhile.
constexpr absl::Duration kTrustIdle = absl::Milliseconds(2);
// How often an idle connection is compared with what else could be had.
constexpr absl::Duration kLookForBetter = absl::Seconds(1);

// One eventfd a thread, made when the thread first has to wait in line.
class ThreadWaker {
 public:
  static ThreadWaker& Mine() {
    thread_local ThreadWaker waker;
    return waker;
  }
  ThreadWaker() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~ThreadWaker() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }
  void Clear() {
    eventfd_t value;
    (void)!eventfd_read(fd_, &value);
  }

 private:
  int fd_;
};

}  // namespace

struct RpcClient::Pool::Waiter {
  int wake_fd;
  bool granted = false;  // under mu_; a connection, or without one a free slot
  std::unique_ptr<ClientConnection> connection;

  void Grant(std::unique_ptr<ClientConnection> given) {
    connection = std::move(given);
    granted = true;
    (void)!eventfd_write(wake_fd, 1);
  }
};

RpcClient::Pool::Pool(Transport* transport, std::vector<wire::Address> addresses,
                      RpcClientOptions options)
    : transport_(transport),
      options_(std::move(options)),
      addresses_(std::move(addresses)),
      transport_name_(transport->name() == "rdma" ? "rdma" : "tcp") {}

RpcClient::Pool::~Pool() = default;

absl::StatusOr<std::unique_ptr<ClientConnection>> RpcClient::Pool::Borrow(const WaitLimit& limit) {
  if (auto idle = TakeIdle()) return idle;
  Waiter waiter{.wake_fd = -1, .granted = false, .connection = nullptr};
  {
    absl::MutexLock lock(&mu_);
    if (open_ < options_.max_connections) {
      ++open_;
      waiter.granted = true;
    } else {
      ThreadWaker::Mine().Clear();
      waiter.wake_fd = ThreadWaker::Mine().fd();
      waiters_.push_back(&waiter);
    }
  }
  if (waiter.wake_fd >= 0) RETURN_IF_ERROR(WaitInLine(&waiter, limit));
  if (waiter.connection != nullptr) return std::move(waiter.connection);
  auto connection = Connect(limit);
  if (!connection.ok()) FreeSlot();
  return connection;
}

std::unique_ptr<ClientConnection> RpcClient::Pool::TakeIdle() {
  const absl::Duration now = SystemClock()->SinceBoot();
  std::vector<std::unique_ptr<ClientConnection>> expired;  // closed after the lock is given up
  while (true) {
    std::unique_ptr<ClientConnection> connection;
    std::optional<std::vector<wire::Address>> addresses;  // when a better one is looked for
    {
      absl::MutexLock lock(&mu_);
      for (auto& old : ExpiredLocked(now)) expired.push_back(std::move(old));
      if (idle_.empty()) return nullptr;
      connection = std::move(idle_.back());
      idle_.pop_back();
      if (now >= look_for_better_at_) {
        look_for_better_at_ = now + kLookForBetter;
        addresses = addresses_;
      }
    }
    if (addresses && transport_->ShouldReplace(connection->address(), *addresses)) {
      Discard(std::move(connection));
      return nullptr;
    }
    if (now - connection->last_used < kTrustIdle || !connection->Stale()) return connection;
    counters.stale_connections.fetch_add(1, std::memory_order_relaxed);
    Discard(std::move(connection));
  }
}

absl::Status RpcClient::Pool::WaitInLine(Waiter* waiter, const WaitLimit& limit) {
  counters.waits_for_connection.fetch_add(1, std::memory_order_relaxed);
  while (true) {
    absl::Status waited = WaitFor(waiter->wake_fd, POLLIN, limit).status();
    if (waited.ok()) ThreadWaker::Mine().Clear();
    absl::MutexLock lock(&mu_);
    if (waiter->granted) return absl::OkStatus();  // also when it came with the last moment
    if (waited.ok()) continue;
    waiters_.erase(std::find(waiters_.begin(), waiters_.end(), waiter));
    return Annotate(waited, "waiting for a free connection");
  }
}

void RpcClient::Pool::GiveBack(std::unique_ptr<ClientConnection> connection) {
  connection->last_used = SystemClock()->SinceBoot();
  absl::MutexLock lock(&mu_);
  if (waiters_.empty()) {
    idle_.push_back(std::move(connection));
    return;
  }
  Waiter* waiter = waiters_.front();
  waiters_.pop_front();
  waiter->Grant(std::move(connection));
}

void RpcClient::Pool::Discard(std::unique_ptr<ClientConnection> connection) {
  connection.reset();
  FreeSlot();
}

void RpcClient::Pool::FreeSlot() {
  absl::MutexLock lock(&mu_);
  if (waiters_.empty()) {
    --open_;
    return;
  }
  Waiter* waiter = waiters_.front();
  waiters_.pop_front();
  waiter->Grant(nullptr);
}

std::vector<std::unique_ptr<ClientConnection>> RpcClient::Pool::ExpiredLocked(absl::Duration now) {
  std::vector<std::unique_ptr<ClientConnection>> expired;
  while (!idle_.empty() && now - idle_.front()->last_used > options_.idle_close) {
    expired.push_back(std::move(idle_.front()));
    idle_.pop_front();
    --open_;
  }
  return expired;
}

void RpcClient::Pool::CloseIdle() {
  std::vector<std::unique_ptr<ClientConnection>> expired;
  absl::MutexLock lock(&mu_);
  expired = ExpiredLocked(SystemClock()->SinceBoot());
}

absl::StatusOr<std::unique_ptr<ClientConnection>> RpcClient::Pool::Connect(const WaitLimit& limit) {
  WaitLimit shorter = limit;
  shorter.deadline =
      std::min(limit.deadline, SystemClock()->SinceBoot() + options_.connect_timeout);
  auto connection = ConnectAny(shorter);
  if (connection.ok()) {
    (*connection)->last_used = SystemClock()->SinceBoot();
    counters.connects.fetch_add(1, std::memory_order_relaxed);
    return connection;
  }
  counters.connect_errors.fetch_add(1, std::memory_order_relaxed);
  // Out of connect_timeout, not of the call's own time: the server is away, trying again is safe.
  if (absl::IsDeadlineExceeded(connection.status()) && limit.Left() > absl::ZeroDuration()) {
    return absl::UnavailableError(connection.status().message());
  }
  return connection;
}

absl::StatusOr<std::unique_ptr<ClientConnection>> RpcClient::Pool::ConnectAny(
    const WaitLimit& limit) {
  std::vector<wire::Address> addresses;
  {
    absl::MutexLock lock(&mu_);
    addresses = addresses_;
    std::rotate(addresses.begin(),
                addresses.begin() +
                    static_cast<ptrdiff_t>(next_address_ % std::max<size_t>(addresses.size(), 1)),
                addresses.end());
  }
  absl::Status failed = absl::UnavailableError("server has no address for this transport");
  for (const wire::Address& address : transport_->Order(addresses)) {
    auto connection =
        ClientConnection::Open(transport_, address, {&options_.credentials, options_.role},
                               transport_->LimitFor(address, limit));
    transport_->Outcome(address, connection.status());
    if (connection.ok()) {
      NoteConnected(**connection);
      return connection;
    }
    failed = connection.status();
    if (absl::IsCancelled(failed)) break;
  }
  return failed;
}

void RpcClient::Pool::NoteConnected(const ClientConnection& connection) {
  absl::MutexLock lock(&mu_);
  transport_name_ = std::string(connection.transport_name());
  for (size_t i = 0; i < addresses_.size(); ++i) {
    const wire::Address& known = addresses_[i];
    const wire::Address& used = connection.address();
    if (known.host() == used.host() && known.port() == used.port() &&
        known.transport() == used.transport()) {
      next_address_ = i;
    }
  }
}

std::string RpcClient::Pool::transport_name() const {
  absl::MutexLock lock(&mu_);
  return transport_name_;
}

std::string RpcClient::Pool::why_not_rdma() const {
  absl::MutexLock lock(&mu_);
  return transport_->WhyNotRdma(addresses_);
}

void RpcClient::Pool::SetAddresses(std::vector<wire::Address> addresses) {
  absl::MutexLock lock(&mu_);
  addresses_ = std::move(addresses);
  next_address_ = 0;
}

int RpcClient::Pool::open_connections() const {
  absl::MutexLock lock(&mu_);
  return open_;
}

}  // namespace penstock::net

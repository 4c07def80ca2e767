#include "common/net/rpc_client.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "common/net/count.h"
#include "common/net/rpc_client_connection.h"
#include "common/net/rpc_client_pool.h"
#include "common/status.h"

namespace penstock::net {
namespace {

constexpr size_t kMaxPayloadBytes = 1u << 30;  // far above any server's limit; fits the header

// Relative, because clocks differ; at least 1 ms, because 0 says "none".
uint32_t DeadlineMs(const WaitLimit& limit) {
  if (limit.deadline == absl::InfiniteDuration()) return 0;
  return static_cast<uint32_t>(
      std::clamp<int64_t>(absl::ToInt64Milliseconds(limit.Left()), 1, UINT32_MAX));
}

absl::Status CheckLimit(const WaitLimit& limit, const CallOptions& options) {
  if (options.interrupt != nullptr && options.interrupt->fired()) {
    return PosixError(EINTR, "call was interrupted");
  }
  if (limit.Left() <= absl::ZeroDuration()) {
    return absl::DeadlineExceededError("no time left for the call");
  }
  return absl::OkStatus();
}

}  // namespace

struct PendingCall::State {
  std::shared_ptr<RpcClient::Pool> pool;
  std::unique_ptr<ClientConnection> connection;  // null once given back
  uint64_t request_id = 0;
  WaitLimit limit;

  // Not finished: the reply is taken when it is here already, else the connection goes.
  void Abandon() {
    if (connection == nullptr) return;
    Count(pool->counters.abandoned);
    Release(!connection->answered_early() && connection->TryDrain(request_id));
  }
  void Release(bool reusable, const absl::Status& why = absl::OkStatus()) {
    if (absl::IsUnavailable(why)) pool->NoteBroken(*connection);
    if (reusable) {
      pool->GiveBack(std::move(connection));
    } else {
      pool->Discard(std::move(connection));
    }
  }
};

PendingCall::PendingCall() = default;
PendingCall::PendingCall(PendingCall&&) noexcept = default;
PendingCall& PendingCall::operator=(PendingCall&& other) noexcept {
  if (this != &other) {
    if (state_ != nullptr) state_->Abandon();
    state_ = std::move(other.state_);
  }
  return *this;
}
PendingCall::~PendingCall() {
  if (state_ != nullptr) state_->Abandon();
}

int PendingCall::fd() const {
  if (state_ == nullptr || state_->connection == nullptr) return -1;
  return state_->connection->has_buffered() ? -1 : state_->connection->fd();
}

absl::Status PendingCall::Finish(google::protobuf::Message* response, absl::Span<const iovec> into,
                                 size_t* received) {
  if (received != nullptr) *received = 0;
  if (state_ == nullptr || state_->connection == nullptr) {
    return absl::FailedPreconditionError("call was finished before, or never started");
  }
  ClientConnection& connection = *state_->connection;
  RpcClientCounters& counters = state_->pool->counters;
  const auto fail = [&](absl::Status status) {
    Count(counters.errors);
    if (absl::IsDeadlineExceeded(status) || absl::IsCancelled(status)) {
      state_->Abandon();
    } else {
      state_->Release(false, status);
    }
    return status;
  };
  if (absl::Status head = connection.ReceiveHead(state_->request_id, state_->limit); !head.ok()) {
    return fail(Annotate(head, connection.peer_address()));
  }
  const FrameHeader header = connection.header();
  const absl::Status answer = StatusOfReply(header, connection.message());
  if (header.payload_bytes > TotalBytes(into)) {
    return fail(absl::DataLossError(absl::StrCat("reply has payload_bytes=", header.payload_bytes,
                                                 ", asked for ", TotalBytes(into))));
  }
  const bool parsed = !answer.ok() || response == nullptr ||
                      response->ParseFromArray(connection.message().data(),
                                               static_cast<int>(connection.message().size()));
  if (header.payload_bytes != 0) {
    // From here the connection is amid a payload: whatever goes wrong, it cannot be used again.
    absl::Status payload = connection.ReceivePayload(into, state_->limit);
    if (!payload.ok()) {
      Count(counters.errors);
      state_->Release(false, payload);
      return payload;
    }
    Count(counters.payload_bytes_received, header.payload_bytes);
    if (received != nullptr) *received = header.payload_bytes;
  }
  const bool reusable = (header.flags & kFlagClosing) == 0 && !connection.answered_early() &&
                        connection.NextFrame().ok();
  state_->Release(reusable);
  if (!answer.ok()) Count(counters.errors);
  if (!parsed) return absl::InternalError("reply message cannot be parsed");
  return answer;
}

RpcClient::RpcClient(Transport* transport, std::vector<wire::Address> addresses,
                     RpcClientOptions options)
    : pool_(std::make_shared<Pool>(transport, std::move(addresses), std::move(options))) {}

RpcClient::~RpcClient() = default;

absl::StatusOr<PendingCall> RpcClient::Start(wire::Method method,
                                             const google::protobuf::Message& request,
                                             const CallOptions& options,
                                             absl::Span<const iovec> payload,
                                             absl::Span<const iovec> into) {
  Count(pool_->counters.calls);
  const auto fail = [&](absl::Status status) {
    Count(pool_->counters.errors);
    return status;
  };
  WaitLimit limit;
  limit.deadline = SystemClock()->SinceBoot() + options.timeout;
  if (options.interrupt != nullptr) limit.interrupt_fd = options.interrupt->fd();
  if (absl::Status ok = CheckLimit(limit, options); !ok.ok()) return fail(ok);
  const size_t payload_bytes = TotalBytes(payload);
  if (payload_bytes > kMaxPayloadBytes) {
    return fail(WithReason(PosixError(EMSGSIZE, "payload too large"), Reason::kMessageTooLarge));
  }
  WaitLimit start = limit;
  if (options.start_within < options.timeout) {
    start.deadline = SystemClock()->SinceBoot() + options.start_within;
  }
  auto connection = pool_->Borrow(start);
  if (!connection.ok()) return fail(connection.status());

  PendingCall call;
  call.state_ = std::make_unique<PendingCall::State>();
  PendingCall::State& state = *call.state_;
  state.pool = pool_;
  state.connection = std::move(*connection);
  state.request_id = state.connection->NextRequestId();
  state.limit = limit;
  FrameHeader header;
  header.method = static_cast<uint16_t>(method);
  header.request_id = state.request_id;
  header.payload_bytes = static_cast<uint32_t>(payload_bytes);
  header.deadline_ms = DeadlineMs(limit);
  OutgoingFrame frame;
  frame.head = EncodeFrame(header, &request);
  frame.payload.assign(payload.begin(), payload.end());
  frame.reply_into = into;
  if (absl::Status sent = state.connection->Send(&frame, limit); !sent.ok()) {
    state.Release(false, sent);  // half a request may have gone out
    return fail(sent);
  }
  Count(pool_->counters.payload_bytes_sent, payload_bytes);
  return call;
}

absl::Status RpcClient::Call(wire::Method method, const google::protobuf::Message& request,
                             google::protobuf::Message* response, const CallOptions& options,
                             absl::Span<const iovec> payload, absl::Span<const iovec> into,
                             size_t* received) {
  if (received != nullptr) *received = 0;
  ASSIGN_OR_RETURN(PendingCall call, Start(method, request, options, payload, into));
  return call.Finish(response, into, received);
}

void RpcClient::SetAddresses(std::vector<wire::Address> addresses) {
  pool_->SetAddresses(std::move(addresses));
}

int RpcClient::open_connections() const { return pool_->open_connections(); }
void RpcClient::CloseIdle() { pool_->CloseIdle(); }
const RpcClientCounters& RpcClient::counters() const { return pool_->counters; }
std::string RpcClient::transport_name() const { return pool_->transport_name(); }
std::string RpcClient::why_not_rdma() const { return pool_->why_not_rdma(); }

}  // namespace penstock::net

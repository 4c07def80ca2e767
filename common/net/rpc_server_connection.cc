#include "common/net/rpc_server_connection.h"

#include <spdlog/spdlog.h>
#include <sys/epoll.h>

#include <algorithm>

#include "common/clock.h"
#include "common/net/count.h"
#include "common/net/rpc_server_call.h"
#include "common/status.h"

namespace penstock::net {
namespace {

constexpr int kFramesPerTurn = 16;  // then others on this reactor get theirs
constexpr absl::Duration kLinger = absl::Seconds(2);
constexpr absl::Duration kStall = absl::Seconds(60);  // a payload or a reply that does not move

absl::Duration Now() { return SystemClock()->SinceBoot(); }

}  // namespace

ServerConnection::ServerConnection(std::shared_ptr<ServerState> state,
                                   std::shared_ptr<Reactor> reactor, std::unique_ptr<Link> link)
    : state_(std::move(state)),
      reactor_(std::move(reactor)),
      link_(std::move(link)),
      handshake_(&state_->options.credentials, RandomNonce()),
      since_(Now()),
      last_received_(since_) {
  link_->SetLimits(kHandshakeLimits);
  state_->connections.fetch_add(1);
  if (link_->is_rdma()) state_->rdma_connections.fetch_add(1);
  Count(state_->counters.accepted);
}

ServerConnection::~ServerConnection() {
  // A reactor that ended first never opened or closed it.
  NoteGone();
  if (reserved_ != 0) state_->budget.Release(reserved_);
}

void ServerConnection::NoteGone() {
  if (!alive_.exchange(false)) return;
  state_->connections.fetch_sub(1);
  if (link_->is_rdma()) state_->rdma_connections.fetch_sub(1);
}

void ServerConnection::Open() {
  {
    absl::MutexLock lock(&mu_);
    last_sent_ = since_;
    interest_ = EPOLLIN | EPOLLRDHUP;
  }
  reactor_->Add(shared_from_this(), link_->fd(), link_->WaitEvents(EPOLLIN | EPOLLRDHUP));
}

void ServerConnection::OnEvents(uint32_t events) {
  if (stage_ == Stage::kClosed) return;
  events = link_->Ready(events);
  bool broken = false;
  bool reading = false;
  bool resume = false;
  {
    absl::MutexLock lock(&mu_);
    if ((events & EPOLLOUT) != 0) FlushLocked();
    broken = broken_;
    reading = reading_ && !paused_;
    resume = MayResumeLocked();
  }
  if (broken) return Close();
  if (CloseIfDrained()) return;
  if (stage_ == Stage::kRefused && !reading) return LingerOnceSent();
  if (resume) {
    ResumeReading();
  } else if (reading) {
    if ((events & ~EPOLLOUT) != 0) Read();
  } else if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    Close();  // epoll would report it again and again
  }
}

void ServerConnection::Read() {
  last_received_ = Now();
  ReadSome();
}

void ServerConnection::ReadSome() {
  for (int turn = 0; turn < kFramesPerTurn; ++turn) {
    switch (stage_) {
      case Stage::kHandshake:
      case Stage::kHead: {
        auto head = link_->ReceiveHead();
        if (!head.ok()) return OnHeadError(head.status());
        if (*head == Progress::kAgain) return;
        if (!(stage_ == Stage::kHead ? TakeHead() : TakeHandshake())) return;
        break;
      }
      case Stage::kPayload:
        if (!TakePayload()) return;
        break;
      case Stage::kRefused: {
        if (!all_sent()) return;
        auto rest = link_->Linger();
        if (!rest.ok() || *rest == Progress::kDone) Close();
        return;
      }
      default:
        return;
    }
  }
  // More frames may stand in the link's memory, about which epoll knows nothing.
  reactor_->Post([self = shared_from_this()] { self->ResumeReading(); });
}

void ServerConnection::OnHeadError(const absl::Status& status) {
  if (absl::IsUnavailable(status)) return Close();  // the peer went away
  Count(state_->counters.bad_frames);
  // Garbage gets no answer; a peer of this protocol is told what is wrong.
  if (absl::IsInvalidArgument(status)) {
    LogRefusal(status);
    return Close();
  }
  Refuse(ReasonOf(status) == Reason::kMessageTooLarge ? link_->header().request_id : 0, status);
}

bool ServerConnection::TakeHandshake() {
  const FrameHeader header = link_->header();
  if (header.kind != FrameKind::kRequest) {
    Close();
    return false;
  }
  auto answer = handshake_.OnRequest(header.method, link_->message());
  if (!answer.ok()) {
    Count(state_->counters.refused_handshakes);
    Refuse(header.request_id, answer.status());
    return false;
  }
  FrameHeader reply_header;
  reply_header.kind = FrameKind::kReply;
  reply_header.method = header.method;
  reply_header.request_id = header.request_id;
  Reply reply;
  reply.frame.head = EncodeFrame(reply_header, std::string_view(*answer));
  SendReply(std::move(reply));
  if (handshake_.authenticated()) {
    stage_ = Stage::kHead;
    link_->SetLimits({state_->options.max_message_bytes, state_->options.max_payload_bytes});
  }
  if (absl::Status next = link_->NextFrame(); !next.ok()) {
    OnHeadError(next);
    return false;
  }
  return link_->has_buffered();
}

bool ServerConnection::TakeHead() {
  arrived_ = absl::Now();
  const FrameHeader& header = link_->header();
  if (header.kind != FrameKind::kRequest) {
    Count(state_->counters.bad_frames);
    Close();
    return false;
  }
  if (header.payload_bytes == 0) return Dispatch();
  // What a chunkserver forwards never waits for memory: clients' writes may hold all of it while
  // they wait, over other servers, for just this one. Its senders' write threads bound it.
  if (role() == wire::ROLE_CHUNKSERVER) {
    OnMemory();
    return stage_ == Stage::kPayload;
  }
  const bool fits = state_->budget.Reserve(
      header.payload_bytes, [self = shared_from_this(), bytes = header.payload_bytes] {
        // The grant is tied to the task: when the reactor has ended and drops it, the bytes return.
        auto grant = std::make_unique<PayloadGrant>(self->state_, bytes);
        self->reactor_->Post([self, grant = std::move(grant)] {
          if (self->stage_ != Stage::kAwaitMemory) return;
          self->reserved_ = grant->Take();
          self->OnMemory();
        });
      });
  if (!fits) {
    Count(state_->counters.memory_waits);
    stage_ = Stage::kAwaitMemory;
    SetReading(false);
    return false;
  }
  reserved_ = header.payload_bytes;
  OnMemory();
  return stage_ == Stage::kPayload;
}

void ServerConnection::OnMemory() {
  const bool waited = stage_ == Stage::kAwaitMemory;
  stage_ = Stage::kPayload;
  payload_ = PayloadBuffer::Allocate(link_->header().payload_bytes);
  incoming_.into.clear();
  incoming_.received_bytes = 0;
  incoming_.into.push_back({payload_.data(), payload_.size()});
  if (!waited || draining_) return;
  SetReading(true);
  Read();
}

bool ServerConnection::TakePayload() {
  auto progress = link_->ReceivePayload(&incoming_);
  if (!progress.ok()) {
    Close();
    return false;
  }
  if (*progress == Progress::kAgain) return false;
  Count(state_->counters.payload_bytes_received, payload_.size());
  return Dispatch();
}

bool ServerConnection::Dispatch() {
  Count(state_->counters.requests);
  const FrameHeader header = link_->header();
  bool more_allowed = true;
  {
    absl::MutexLock lock(&mu_);
    if (++in_flight_ >= state_->options.max_in_flight_per_connection) {
      paused_ = true;
      more_allowed = false;
      UpdateInterestLocked();
    }
  }
  stage_ = Stage::kHead;
  auto call = std::make_unique<RequestContext>(
      shared_from_this(),
      RequestContext::Arrival{{header.method, header.request_id},
                              header.deadline_ms == 0
                                  ? absl::InfiniteFuture()
                                  : arrived_ + absl::Milliseconds(header.deadline_ms),
                              absl::Now()},
      std::move(payload_), std::exchange(reserved_, 0));
  HandleRequest(*state_, header.method, std::move(call), link_->message());
  if (absl::Status next = link_->NextFrame(); !next.ok()) {
    OnHeadError(next);
    return false;
  }
  return more_allowed && link_->has_buffered();
}

void ServerConnection::Refuse(uint64_t request_id, const absl::Status& status) {
  LogRefusal(status);
  stage_ = Stage::kRefused;
  since_ = Now();
  Reply reply;
  reply.frame.head = EncodeReply({0, request_id, true}, status, nullptr, 0);
  SendReply(std::move(reply));
  SetReading(false);
  LingerOnceSent();
}

// Closing with unread input would reset the connection and take the refusal with it: so what still
// comes is read and thrown away for a while.
void ServerConnection::LingerOnceSent() {
  if (!all_sent()) return;
  {
    absl::MutexLock lock(&mu_);
    paused_ = false;
    reading_ = true;
    UpdateInterestLocked();
  }
  ReadSome();
}

void ServerConnection::LogRefusal(const absl::Status& status) {
  const int64_t second = absl::ToInt64Seconds(Now());
  if (state_->last_refusal_log_s.exchange(second) == second) return;
  SPDLOG_WARN("connection refused peer={} reason={} error=\"{}\"", peer_address(),
              ReasonName(ReasonOf(status)), std::string(status.message()));
}

void ServerConnection::SetReading(bool reading) {
  absl::MutexLock lock(&mu_);
  reading_ = reading;
  UpdateInterestLocked();
}

void ServerConnection::ResumeReading() {
  if (stage_ == Stage::kClosed || stage_ == Stage::kAwaitMemory || draining_) return;
  {
    absl::MutexLock lock(&mu_);
    if (paused_ && in_flight_ >= state_->options.max_in_flight_per_connection) return;
    paused_ = false;
    UpdateInterestLocked();
  }
  ReadSome();
}

void ServerConnection::OnTick(absl::Duration now) {
  bool in_flight = false;
  bool sending = false;
  absl::Duration last_sent;
  {
    absl::MutexLock lock(&mu_);
    in_flight = in_flight_ > 0;
    sending = !output_.empty();
    last_sent = last_sent_;
  }
  const RpcServerOptions& o = state_->options;
  const absl::Duration silent = now - std::max(last_received_, last_sent);
  if ((stage_ == Stage::kHandshake && now - since_ > o.handshake_timeout) ||
      (stage_ == Stage::kRefused && now - since_ > kLinger) ||
      (stage_ == Stage::kPayload && now - last_received_ > kStall) ||
      (sending && now - last_sent > kStall) ||
      (stage_ == Stage::kHead && !in_flight && !sending && silent > o.idle_timeout)) {
    Count(state_->counters.timeouts);
    Close();
  }
}

void ServerConnection::OnStop() {
  draining_ = true;
  {
    absl::MutexLock lock(&mu_);
    notify_drained_ = true;
    reading_ = false;
    UpdateInterestLocked();
  }
  (void)CloseIfDrained();
}

bool ServerConnection::CloseIfDrained() {
  if (!draining_ || stage_ == Stage::kClosed) return false;
  {
    absl::MutexLock lock(&mu_);
    if (in_flight_ != 0 || !output_.empty()) return false;
  }
  Close();
  return true;
}

void ServerConnection::Close() {
  if (stage_ == Stage::kClosed) return;
  stage_ = Stage::kClosed;
  std::deque<Reply> unsent;  // their payloads are freed outside the lock
  {
    absl::MutexLock lock(&mu_);
    closed_ = true;
    unsent.swap(output_);
    reactor_->Remove(this, link_->fd());
    link_->Close();
  }
  NoteGone();
  payload_ = {};
  if (reserved_ != 0) state_->budget.Release(std::exchange(reserved_, 0));
}

}  // namespace penstock::net

#include "client/session.h"

#include <absl/time/clock.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "client/wait.h"
#include "common/program.h"
#include "common/status.h"

namespace penstock::client {

Session::Session(MetaTransport* transport, HoldTable* holds, SessionOptions options)
    : transport_(transport), holds_(holds), options_(std::move(options)) {}

Session::~Session() { Stop(); }

SessionId Session::id() const {
  absl::MutexLock lock(&mu_);
  return SessionId(open_.session_id());
}

wire::Entry Session::root() const {
  absl::MutexLock lock(&mu_);
  return open_.root();
}

std::string Session::cluster_id() const {
  absl::MutexLock lock(&mu_);
  return open_.cluster_id();
}

absl::StatusOr<wire::OpenSessionResponse> Session::OpenOnce(const OpContext& op) {
  wire::OpenSessionRequest request;
  request.set_hostname(HostName());
  request.set_mountpoint(options_.mountpoint);
  request.set_version(PENSTOCK_VERSION);
  request.set_pid(static_cast<uint32_t>(getpid()));
  request.set_subdir(options_.subdir);
  const absl::Time deadline = absl::Now() + options_.open_timeout;
  Backoff backoff(absl::Milliseconds(50), absl::Seconds(1));
  while (true) {
    wire::OpenSessionResponse response;
    absl::Status status =
        transport_->Call(wire::METHOD_OPEN_SESSION, request, &response,
                         {.timeout = std::min(absl::Seconds(10), deadline - absl::Now()),
                          .interrupt = op.interrupt});
    if (status.ok()) return response;
    const bool again = IsRetryable(status) || absl::IsDeadlineExceeded(status);
    if (!again || absl::Now() + absl::Milliseconds(50) >= deadline) {
      return Annotate(std::move(status), "open session");
    }
    RETURN_IF_ERROR(SleepFor(backoff.Next(), op));
  }
}

absl::Status Session::Open(const OpContext& op) {
  ASSIGN_OR_RETURN(wire::OpenSessionResponse response, OpenOnce(op));
  SPDLOG_INFO("session opened session={:x} cluster={} server_version={}", response.session_id(),
              response.cluster_id(), response.server_version());
  absl::MutexLock lock(&mu_);
  open_ = std::move(response);
  whole_ = true;
  return absl::OkStatus();
}

absl::Status Session::Renew(SessionId lost, const OpContext& op) {
  absl::MutexLock renewing(&renew_mu_);
  {
    absl::MutexLock lock(&mu_);
    if (stopping_) return PosixError(EIO, "the mount is being stopped");
    if (SessionId(open_.session_id()) != lost) return absl::OkStatus();  // another thread was first
  }
  ASSIGN_OR_RETURN(wire::OpenSessionResponse response, OpenOnce(op));
  SPDLOG_ERROR("session lost and opened anew old={:x} new={:x}: unwritten data is lost (EIO)",
               lost.value(), response.session_id());
  {
    absl::MutexLock lock(&mu_);
    open_ = std::move(response);
    whole_ = true;
  }
  if (events_.on_lost) events_.on_lost(lost);
  return absl::OkStatus();
}

void Session::Start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "heartbeat");
    Run();
  });
}

void Session::Run() {
  const OpContext op{.credentials = {}, .thread = 0, .interrupt = &stop_};
  while (!stop_.fired()) {
    bool again = false;
    Beat(&again);
    absl::Duration every;
    {
      absl::MutexLock lock(&mu_);
      every = absl::Milliseconds(open_.heartbeat_ms() == 0 ? 1000 : open_.heartbeat_ms());
    }
    if (!again && !SleepFor(every, op).ok()) return;
  }
}

void Session::Beat(bool* again) {
  wire::SessionHeartbeatRequest request;
  bool whole = false;
  {
    absl::MutexLock lock(&mu_);
    request.set_session_id(open_.session_id());
    whole = whole_;
  }
  holds_->FillReport(whole, &request);
  if (events_.add_transports) events_.add_transports(&request);
  wire::SessionHeartbeatResponse response;
  absl::Status status = transport_->Call(wire::METHOD_SESSION_HEARTBEAT, request, &response,
                                         {.timeout = options_.call_timeout, .interrupt = &stop_});
  if (!status.ok()) {
    holds_->Failed();
    const Reason reason = ReasonOf(status);
    if (reason == Reason::kSessionUnknown || reason == Reason::kFenced) {
      const OpContext op{.credentials = {}, .thread = 0, .interrupt = &stop_};
      absl::Status renewed = Renew(SessionId(request.session_id()), op);
      if (!renewed.ok() && !stop_.fired()) {
        SPDLOG_WARN("session could not be opened anew error={}", renewed.ToString());
      }
    }
    return;
  }
  holds_->Acknowledge();
  bool restarted = false;
  {
    absl::MutexLock lock(&mu_);
    if (open_.session_id() != request.session_id()) return;
    if (whole) whole_ = false;
    if (response.server_instance() != open_.server_instance()) {
      // A metaserver that was started anew forgot the readers: tell it all of them.
      open_.set_server_instance(response.server_instance());
      restarted = true;
      if (!whole) whole_ = *again = true;
    }
  }
  if (restarted) {
    SPDLOG_INFO("metaserver was started anew session={:x}", request.session_id());
    if (events_.on_server_restart) events_.on_server_restart();
  }
}

void Session::Stop() {
  {
    absl::MutexLock lock(&mu_);
    if (stopping_) return;
    stopping_ = true;
  }
  stop_.Fire();
  if (thread_.joinable()) thread_.join();
  wire::CloseSessionRequest request;
  request.set_session_id(id().value());
  if (request.session_id() == 0) return;
  wire::CloseSessionResponse response;
  absl::Status status = transport_->Call(wire::METHOD_CLOSE_SESSION, request, &response,
                                         {.timeout = absl::Seconds(3)});
  if (!status.ok()) SPDLOG_WARN("session not closed error={}", status.ToString());
}

}  // namespace penstock::client

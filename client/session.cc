#include "client/session.h"

#include <absl/time/clock.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "client/wait.h"
#include "common/program.h"
#include "common/status.h"

namespace penstock::client {

namespace {
// A lease is given up this long before the metaserver may take it for over.
constexpr absl::Duration kLeaseMargin = absl::Seconds(1);
}  // namespace

bool SessionEnded(const absl::Status& status) {
  const Reason reason = ReasonOf(status);
  return reason == Reason::kSessionUnknown || reason == Reason::kFenced;
}

Session::Session(MetaTransport* transport, HoldTable* holds, Clock* clock, SessionOptions options)
    : transport_(transport), holds_(holds), clock_(clock), options_(std::move(options)) {}

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

absl::Status Session::CallPatiently(wire::Method method, const google::protobuf::Message& request,
                                    google::protobuf::Message* response, const OpContext& op) {
  const absl::Time deadline = absl::Now() + options_.open_timeout;
  Backoff backoff(absl::Milliseconds(50), absl::Seconds(1));
  while (true) {
    absl::Status status =
        transport_->Call(method, request, response,
                         {.timeout = std::min(absl::Seconds(10), deadline - absl::Now()),
                          .interrupt = op.interrupt});
    const bool again = IsRetryable(status) || absl::IsDeadlineExceeded(status);
    if (!again || absl::Now() + absl::Milliseconds(50) >= deadline) return status;
    RETURN_IF_ERROR(SleepFor(backoff.Next(), op));
  }
}

absl::StatusOr<wire::OpenSessionResponse> Session::OpenOnce(const OpContext& op) {
  wire::OpenSessionRequest request;
  request.set_hostname(HostName());
  request.set_mountpoint(options_.mountpoint);
  request.set_version(PENSTOCK_VERSION);
  request.set_pid(static_cast<uint32_t>(getpid()));
  request.set_subdir(options_.subdir);
  wire::OpenSessionResponse response;
  RETURN_IF_ERROR(
      Annotate(CallPatiently(wire::METHOD_OPEN_SESSION, request, &response, op), "open session"));
  return response;
}

// What is open here counts there before anything is asked in the new session: whoever changes a
// file tells those who have it open, and without a lease nobody else.
absl::Status Session::TellHeld(const wire::OpenSessionResponse& opened, const OpContext& op) {
  wire::SessionHeartbeatRequest request;
  request.set_session_id(opened.session_id());
  request.set_lease_generation(opened.lease_generation());
  request.set_client(options_.client);
  holds_->FillWhole(&request);
  wire::SessionHeartbeatResponse response;
  return Annotate(CallPatiently(wire::METHOD_SESSION_HEARTBEAT, request, &response, op),
                  "tell what is open");
}

absl::Status Session::Open(const OpContext& op) {
  const absl::Duration sent = clock_->SinceBoot();
  ASSIGN_OR_RETURN(wire::OpenSessionResponse response, OpenOnce(op));
  SPDLOG_INFO("session opened session={:x} cluster={} server_version={}", response.session_id(),
              response.cluster_id(), response.server_version());
  {
    absl::MutexLock lock(&mu_);
    lease_generation_ = response.lease_generation();
    open_ = std::move(response);
    whole_ = true;
  }
  KeepLeases(sent);
  return absl::OkStatus();
}

// From when the heartbeat was sent: the metaserver counts from when it arrived.
void Session::KeepLeases(absl::Duration sent) {
  absl::Duration timeout;
  {
    absl::MutexLock lock(&mu_);
    timeout = absl::Milliseconds(open_.session_timeout_ms());
  }
  if (events_.on_leases_kept) events_.on_leases_kept(sent + timeout - kLeaseMargin);
}

void Session::Resume(wire::OpenSessionResponse opened) {
  SPDLOG_INFO("session resumed session={:x} cluster={}", opened.session_id(), opened.cluster_id());
  absl::MutexLock lock(&mu_);
  lease_generation_ = opened.lease_generation();
  open_ = std::move(opened);
  whole_ = true;
}

wire::OpenSessionResponse Session::opened() const {
  absl::MutexLock lock(&mu_);
  return open_;
}

absl::Status Session::Renew(SessionId lost, const OpContext& op) {
  RETURN_IF_ERROR(RenewOnce(lost, op));
  if (events_.await_dropped) events_.await_dropped();
  return absl::OkStatus();
}

absl::Status Session::RenewOnce(SessionId lost, const OpContext& op) {
  absl::MutexLock renewing(&renew_mu_);
  {
    absl::MutexLock lock(&mu_);
    if (stopping_) return PosixError(EIO, "the mount is being stopped");
    if (SessionId(open_.session_id()) != lost) return absl::OkStatus();  // another thread was first
  }
  // Nothing cached is the new session's.
  if (events_.on_leases_kept) events_.on_leases_kept(absl::ZeroDuration());
  const absl::Duration sent = clock_->SinceBoot();
  ASSIGN_OR_RETURN(wire::OpenSessionResponse response, OpenOnce(op));
  RETURN_IF_ERROR(TellHeld(response, op));
  SPDLOG_ERROR("session lost and opened anew old={:x} new={:x}: unwritten data is lost (EIO)",
               lost.value(), response.session_id());
  if (events_.on_leases_lost) events_.on_leases_lost();
  {
    absl::MutexLock lock(&mu_);
    lease_generation_ = response.lease_generation();
    open_ = std::move(response);
    whole_ = true;
  }
  if (events_.on_lost) events_.on_lost(lost);
  KeepLeases(sent);
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
    request.set_lease_generation(lease_generation_);
    request.set_client(options_.client);
    whole = whole_;
  }
  // The leases first: a file that was opened under one that is given up here is among what is held.
  if (events_.add_leases) events_.add_leases(whole, &request);
  holds_->FillReport(whole, &request);
  if (events_.add_transports) events_.add_transports(&request);
  wire::SessionHeartbeatResponse response;
  const absl::Duration sent = clock_->SinceBoot();
  absl::Status status = transport_->Call(wire::METHOD_SESSION_HEARTBEAT, request, &response,
                                         {.timeout = options_.call_timeout, .interrupt = &stop_});
  if (events_.leases_reported) events_.leases_reported(status.ok());
  if (!status.ok()) {
    holds_->Failed();
    if (SessionEnded(status)) {
      const OpContext op{.credentials = {}, .thread = 0, .interrupt = &stop_};
      absl::Status renewed = Renew(SessionId(request.session_id()), op);
      if (!renewed.ok() && !stop_.fired()) {
        SPDLOG_WARN("session could not be opened anew error={}", renewed.ToString());
      }
    }
    return;
  }
  holds_->Acknowledge();
  *again = TakeAnswer(request, response, sent);
}

bool Session::TakeAnswer(const wire::SessionHeartbeatRequest& request,
                         const wire::SessionHeartbeatResponse& response, absl::Duration sent) {
  bool restarted = false;
  bool lost = false;
  bool again = false;
  {
    absl::MutexLock lock(&mu_);
    if (open_.session_id() != request.session_id()) return false;
    if (request.whole()) whole_ = false;
    if (response.server_instance() != open_.server_instance()) {
      // A metaserver that was started anew forgot what is held here: tell it all of it.
      open_.set_server_instance(response.server_instance());
      restarted = true;
      if (!request.whole()) whole_ = again = true;
    }
    // A metaserver that knows less than it once said lost its last changes in a power cut.
    lost =
        response.lease_generation() != lease_generation_ || response.log_index() < seen_log_index_;
    lease_generation_ = response.lease_generation();
    seen_log_index_ = response.log_index();
  }
  if (restarted) {
    SPDLOG_INFO("metaserver was started anew session={:x}", request.session_id());
    if (events_.on_server_restart) events_.on_server_restart();
  }
  if (lost) {
    SPDLOG_WARN("leases lost: what was cached is dropped session={:x}", request.session_id());
    if (events_.on_leases_lost) events_.on_leases_lost();
    return true;  // the next one keeps the new leases
  }
  if (response.keeps_leases()) KeepLeases(sent);
  return again;
}

void Session::Leave() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  stop_.Fire();
  if (thread_.joinable()) thread_.join();
}

void Session::Stop() {
  {
    absl::MutexLock lock(&mu_);
    if (stopping_) return;
  }
  Leave();
  wire::CloseSessionRequest request;
  request.set_session_id(id().value());
  if (request.session_id() == 0) return;
  wire::CloseSessionResponse response;
  absl::Status status = transport_->Call(wire::METHOD_CLOSE_SESSION, request, &response,
                                         {.timeout = absl::Seconds(3)});
  if (!status.ok()) SPDLOG_WARN("session not closed error={}", status.ToString());
}

}  // namespace penstock::client

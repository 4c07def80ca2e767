#include "metaserver/service/lock_service.h"

#include <spdlog/spdlog.h>

#include <cerrno>

#include "common/status.h"

namespace penstock::metaserver {
namespace {

template <typename Request>
SessionId SessionOf(const Request& request) {
  return SessionId(request.context().session_id());
}

}  // namespace

void LockService::Attach() {
  locks_->BeginGrace(sessions_->KnownSessions());
  SessionHooks hooks;
  hooks.presented = [this](const wire::SessionHeartbeatRequest& report) { Presented(report); };
  hooks.resumed = [this](const wire::ResumeSessionRequest& request,
                         wire::ResumeSessionResponse& response) {
    return Resumed(request, response);
  };
  hooks.gone = [this](SessionId session) { locks_->DropSession(session); };
  hooks.in_the_way = [this] { return locks_->InTheWay(); };
  sessions_->SetHooks(std::move(hooks));
}

void LockService::Register(net::RpcServer& server) {
  server.Handle<wire::SetLockRequest, wire::SetLockResponse>(
      wire::METHOD_SET_LOCK,
      [this](auto call) { call->Finish(SetLock(call->request(), call->response())); });
  server.Handle<wire::GetLockRequest, wire::GetLockResponse>(
      wire::METHOD_GET_LOCK, [this](auto call) {
        auto result = GetLock(call->request());
        if (result.ok()) call->response() = *std::move(result);
        call->Finish(result.status());
      });
  server.Handle<wire::ReleaseLocksRequest, wire::EmptyResponse>(
      wire::METHOD_RELEASE_LOCKS,
      [this](auto call) { call->Finish(ReleaseLocks(call->request())); });
  server.Handle<wire::CancelLockRequest, wire::CancelLockResponse>(
      wire::METHOD_CANCEL_LOCK, [this](auto call) {
        auto result = CancelLock(call->request());
        if (result.ok()) call->response() = *std::move(result);
        call->Finish(result.status());
      });
}

absl::Status LockService::SetLock(const wire::SetLockRequest& request,
                                  wire::SetLockResponse& response) {
  RETURN_IF_ERROR(CheckLock(request.lock()));
  if (request.wait() && request.ticket() == 0) {
    return absl::InvalidArgumentError("a wait needs a ticket");
  }
  RETURN_IF_ERROR(sessions_->Check(SessionOf(request)));
  LockOutcome outcome = locks_->Set(request);
  for (SessionId session : outcome.in_the_way) sessions_->EndIfStale(session);
  response.set_queued(outcome.queued);
  return CheckAgain(SessionOf(request), std::move(outcome.status));
}

absl::StatusOr<wire::GetLockResponse> LockService::GetLock(const wire::GetLockRequest& request) {
  RETURN_IF_ERROR(CheckLock(request.lock()));
  RETURN_IF_ERROR(sessions_->Check(SessionOf(request)));
  return locks_->Get(request);
}

absl::Status LockService::ReleaseLocks(const wire::ReleaseLocksRequest& request) {
  RETURN_IF_ERROR(sessions_->Check(SessionOf(request)));
  return CheckAgain(SessionOf(request), locks_->Release(request));
}

absl::StatusOr<wire::CancelLockResponse> LockService::CancelLock(
    const wire::CancelLockRequest& request) {
  RETURN_IF_ERROR(sessions_->Check(SessionOf(request)));
  auto result = locks_->Cancel(request);
  RETURN_IF_ERROR(CheckAgain(SessionOf(request), absl::OkStatus()));
  return result;
}

absl::Status LockService::CheckAgain(SessionId session, absl::Status status) {
  absl::Status live = sessions_->Check(session);
  if (live.ok() || absl::IsAborted(live)) return live.ok() ? status : live;
  locks_->DropSession(session);
  return live;
}

void LockService::Presented(const wire::SessionHeartbeatRequest& report) {
  std::vector<wire::FileLock> locks;
  locks.reserve(static_cast<size_t>(report.locks_size()));
  for (const wire::HeldLock& held : report.locks()) locks.push_back(held.lock());
  const size_t refused = locks_->Reclaim(SessionId(report.session_id()), locks);
  if (refused > 0) {
    SPDLOG_WARN("locks could not be given back after the restart session={} locks={}",
                report.session_id(), refused);
  }
}

absl::Status LockService::Resumed(const wire::ResumeSessionRequest& request,
                                  wire::ResumeSessionResponse& response) {
  const SessionId session(request.session_id());
  auto resumed = locks_->Resume(session, request.client());
  RETURN_IF_ERROR(CheckAgain(session, resumed.status()));
  if (resumed->unknown) {
    SPDLOG_WARN("locks of before the restart are lost with their client session={}",
                session.value());
  }
  for (wire::FileLock& lock : resumed->locks) *response.add_locks() = std::move(lock);
  return absl::OkStatus();
}

}  // namespace penstock::metaserver

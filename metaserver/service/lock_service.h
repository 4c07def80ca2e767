// LockService answers the lock methods of Penstock RPC: decode, check, call, encode. Nothing here
// waits, so everything runs on the reactors.
#pragma once

#include "common/net/rpc_server.h"
#include "metaserver/locks/file_locks.h"
#include "metaserver/session/session_table.h"

namespace penstock::metaserver {

class LockService {
 public:
  // The pointers must outlive the service.
  LockService(FileLocks* locks, SessionTable* sessions) : locks_(locks), sessions_(sessions) {}

  void Register(net::RpcServer& server);  // before server.Start()
  // What ties the table to the sessions' lives; the locks of those that a start found are awaited.
  // Before anybody can call.
  void Attach();

 private:
  absl::Status SetLock(const wire::SetLockRequest& request, wire::SetLockResponse& response);
  absl::StatusOr<wire::GetLockResponse> GetLock(const wire::GetLockRequest& request);
  absl::Status ReleaseLocks(const wire::ReleaseLocksRequest& request);
  absl::StatusOr<wire::CancelLockResponse> CancelLock(const wire::CancelLockRequest& request);
  void Presented(const wire::SessionHeartbeatRequest& report);
  absl::Status Resumed(const wire::ResumeSessionRequest& request,
                       wire::ResumeSessionResponse& response);
  // The session may have ended, and its locks have been dropped, before the call got to the table.
  absl::Status CheckAgain(SessionId session, absl::Status status);

  FileLocks* const locks_;
  SessionTable* const sessions_;
};

}  // namespace penstock::metaserver

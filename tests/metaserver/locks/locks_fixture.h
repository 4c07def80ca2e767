// A lock table with short ways to ask it. Sessions and owners are small numbers; file 7 is the one
// that a request means when it says nothing else.
#pragma once

#include <map>
#include <vector>

#include "common/status.h"
#include "metaserver/locks/file_locks.h"

namespace penstock::metaserver {

struct Who {
  uint64_t session = 1;
  uint64_t owner = 1;
};

struct What {
  wire::LockType type = wire::LOCK_TYPE_WRITE;
  uint64_t start = 0;
  uint64_t end = INT64_MAX;
  wire::LockKind kind = wire::LOCK_POSIX;
  uint64_t ino = 7;
  uint64_t handle = 0;  // 0: the owner's number
};

inline What Flock(wire::LockType type) { return {.type = type, .kind = wire::LOCK_FLOCK}; }

class RecordedAnswers : public LockAnswers {
 public:
  void Answer(SessionId session, const wire::LockAnswer& answer) override {
    got.push_back({session.value(), answer.ticket(), static_cast<int>(answer.err())});
  }
  struct Got {
    uint64_t session;
    uint64_t ticket;
    int err;
    friend bool operator==(const Got&, const Got&) = default;
  };
  std::vector<Got> Take() { return std::exchange(got, {}); }
  std::vector<Got> got;
};

struct LocksFixture {
  using Got = RecordedAnswers::Got;
  static constexpr int kQueued = -1;
  static constexpr int kAborted = -2;

  explicit LocksFixture(FileLocksOptions options = {}) : table(options, &answers) {}

  wire::FileLock Lock(Who who, What what) {
    wire::FileLock lock;
    lock.set_ino(what.ino);
    lock.set_kind(what.kind);
    lock.set_type(what.type);
    lock.set_owner(who.owner);
    lock.set_handle(what.handle != 0 ? what.handle : who.owner);
    lock.set_start(what.start);
    lock.set_end(what.end);
    lock.set_pid(static_cast<uint32_t>(1000 + who.owner));
    return lock;
  }
  wire::SetLockRequest Request(Who who, What what, uint64_t ticket = 0) {
    wire::SetLockRequest request;
    request.mutable_context()->set_session_id(who.session);
    request.mutable_context()->set_sequence(++sequence);
    *request.mutable_lock() = Lock(who, what);
    request.set_wait(ticket != 0);
    request.set_ticket(ticket);
    return request;
  }
  // 0, an errno, kQueued or kAborted.
  int Send(const wire::SetLockRequest& request) {
    last = table.Set(request);
    if (absl::IsAborted(last.status)) return kAborted;
    return last.queued ? kQueued : ErrnoOf(last.status);
  }
  int Set(Who who, What what) { return Send(Request(who, what)); }
  int Wait(Who who, What what, uint64_t ticket) { return Send(Request(who, what, ticket)); }
  // The same by one of the clients that the session has one after the other.
  int WaitAs(uint64_t client, Who who, What what, uint64_t ticket) {
    wire::SetLockRequest request = Request(who, what, ticket);
    request.mutable_context()->set_client(client);
    return Send(request);
  }
  int Unlock(Who who, What what = {}) {
    what.type = wire::LOCK_TYPE_NONE;
    return Set(who, what);
  }
  absl::StatusOr<wire::GetLockResponse> Get(Who who, What what) {
    wire::GetLockRequest request;
    request.mutable_context()->set_session_id(who.session);
    *request.mutable_lock() = Lock(who, what);
    return table.Get(request);
  }
  bool IsFree(What what) {
    auto found = Get({.session = 99, .owner = 99}, what);
    return found.ok() && !found->conflict();
  }
  wire::ReleaseLocksRequest ReleaseRequest(uint64_t session, uint64_t ino) {
    wire::ReleaseLocksRequest request;
    request.mutable_context()->set_session_id(session);
    request.mutable_context()->set_sequence(++sequence);
    request.set_ino(ino);
    return request;
  }
  void ReleaseOwner(Who who, uint64_t ino = 7) {
    wire::ReleaseLocksRequest request = ReleaseRequest(who.session, ino);
    request.set_owner(who.owner);
    released = table.Release(request);
  }
  void ReleaseHandle(uint64_t session, uint64_t handle, uint64_t ino = 7) {
    wire::ReleaseLocksRequest request = ReleaseRequest(session, ino);
    request.set_by_handle(true);
    request.set_handle(handle);
    released = table.Release(request);
  }
  absl::StatusOr<wire::CancelLockResponse> Cancel(uint64_t session, uint64_t ticket) {
    wire::CancelLockRequest request;
    request.mutable_context()->set_session_id(session);
    request.set_ino(7);
    request.set_ticket(ticket);
    return table.Cancel(request);
  }

  RecordedAnswers answers;
  FileLocks table;
  uint64_t sequence = 0;
  LockOutcome last;
  absl::Status released;
};

}  // namespace penstock::metaserver

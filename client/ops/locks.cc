// Locks of files: set, wait for, ask, and the two ways in which a close ends them (lock_table.h).
// The metaserver decides; what it said is noted in the table.
#include <cerrno>

#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {
namespace {

// Of a close, which must not hang: what is left over is done in the background.
constexpr absl::Duration kReleaseTimeout = absl::Seconds(5);

void Complete(const FileHandle& handle, wire::FileLock& lock) {
  lock.set_ino(handle.inode->ino.value());
  lock.set_handle(handle.number);
}

}  // namespace

absl::Status FileSystem::SetLock(const FileHandle& handle, wire::FileLock lock,
                                 const OpContext& op) {
  Complete(handle, lock);
  while (true) {
    const uint64_t losses = locks_.losses();
    wire::SetLockRequest request;
    *request.mutable_lock() = lock;
    locks_.Begin(lock);
    const absl::Status status =
        meta_->Mutate<wire::SetLockResponse>(wire::METHOD_SET_LOCK, request, op).status();
    if (!IsDecision(status)) {
      locks_.End(lock, LockTable::Outcome::kUnknown);
      lock_waits_.Repair(lock);
      return status;
    }
    locks_.End(lock, status.ok() ? LockTable::Outcome::kDone : LockTable::Outcome::kRefused);
    // The answer may be of the session that is lost, or of the new one.
    if (status.ok() && locks_.losses() != losses) lock_waits_.Repair(lock);
    if (ErrnoOf(status) == EAGAIN && locks_.AwaitDeparture(lock)) continue;
    return status;
  }
}

FileSystem::LockWait FileSystem::BeginLock(const FileHandle& handle, wire::FileLock lock,
                                           const OpContext& op) {
  Complete(handle, lock);
  const uint64_t losses = locks_.losses();
  LockWait wait;
  wait.ticket = lock_waits_.Begin(lock);
  wire::SetLockRequest request;
  *request.mutable_lock() = lock;
  request.set_wait(true);
  request.set_ticket(wait.ticket);
  // Its ticket makes a repeat harmless, so it is a question, which a signal may end at any time.
  auto response = meta_->Query<wire::SetLockResponse>(wire::METHOD_SET_LOCK, request, op);
  wait.status = response.status();
  const bool other_session = locks_.losses() != losses;
  if (!IsDecision(wait.status) || (response.ok() && response->queued() && other_session)) {
    const auto decision = lock_waits_.Abandon(wait.ticket);
    if (decision) {
      wait.status = *decision;
    } else if (wait.status.ok()) {
      wait.status = PosixError(EIO, "the session was lost");
    }
    return wait;
  }
  wait.queued = response.ok() && response->queued();
  if (wait.queued) return wait;
  lock_waits_.Settle(wait.ticket, wait.status);
  if (wait.status.ok() && other_session) lock_waits_.Repair(lock);
  return wait;
}

absl::StatusOr<wire::GetLockResponse> FileSystem::GetLock(const FileHandle& handle,
                                                          wire::FileLock lock,
                                                          const OpContext& op) {
  Complete(handle, lock);
  wire::GetLockRequest request;
  *request.mutable_lock() = lock;
  while (true) {
    ASSIGN_OR_RETURN(wire::GetLockResponse found,
                     meta_->Query<wire::GetLockResponse>(wire::METHOD_GET_LOCK, request, op));
    if (!found.conflict() || found.remote() || !locks_.AwaitDeparture(lock)) return found;
  }
}

void FileSystem::ReleaseOwner(const FileHandle& handle, uint64_t owner) {
  const InodeNumber ino = handle.inode->ino;
  locks_.NoteClose(ino, handle.number);
  wire::ReleaseLocksRequest request;
  request.set_ino(ino.value());
  request.set_owner(owner);
  ReleaseLocks(request, locks_.OfOwner(ino, owner));
}

void FileSystem::ReleaseLocksOf(InodeNumber ino, uint64_t handle) {
  wire::ReleaseLocksRequest request;
  request.set_ino(ino.value());
  request.set_by_handle(true);
  request.set_handle(handle);
  ReleaseLocks(request, locks_.OfHandle(ino, handle));
}

void FileSystem::TakeOverLocks(const wire::ResumeSessionResponse& held) {
  for (const wire::FileLock& lock : held.locks()) {
    locks_.Begin(lock);
    locks_.End(lock, LockTable::Outcome::kDone);
  }
}

void FileSystem::ReleaseLocks(const wire::ReleaseLocksRequest& request,
                              const std::vector<wire::FileLock>& locks) {
  if (locks.empty()) return;
  OpContext op;
  op.timeout = kReleaseTimeout;
  const bool told =
      meta_->Mutate<wire::EmptyResponse>(wire::METHOD_RELEASE_LOCKS, request, op).ok();
  locks_.Released(locks);
  if (told) return;
  for (const wire::FileLock& lock : locks) lock_waits_.Repair(lock);
}

}  // namespace penstock::client

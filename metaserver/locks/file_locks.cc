#include "metaserver/locks/file_locks.h"

#include <cerrno>
#include <limits>

#include "common/status.h"

namespace penstock::metaserver {
namespace {

constexpr uint64_t kLastByte = std::numeric_limits<int64_t>::max();

absl::Status NotKnownYet() {
  return absl::AbortedError("locks from before the restart are not all known yet");
}

}  // namespace

absl::Status CheckLock(const wire::FileLock& lock) {
  const bool known = wire::LockKind_IsValid(lock.kind()) && wire::LockType_IsValid(lock.type());
  if (!known || lock.start() > lock.end() || lock.end() > kLastByte) {
    return PosixError(EINVAL, "no such lock");
  }
  return absl::OkStatus();
}

LockRange RangeOf(const wire::FileLock& lock) {
  if (lock.kind() == wire::LOCK_FLOCK) return {0, kLastByte};
  return {lock.start(), lock.end()};
}

LockType TypeOf(const wire::FileLock& lock) { return static_cast<LockType>(lock.type()); }

LockOutcome FileLocks::Set(const wire::SetLockRequest& request) {
  Answers answers;
  LockOutcome outcome;
  {
    absl::MutexLock lock(&mu_);
    outcome = SetLocked(request, &answers);
  }
  Send(answers);
  return outcome;
}

LockOutcome FileLocks::SetLocked(const wire::SetLockRequest& request, Answers* answers) {
  if (absl::Status status = CheckAsker(request.context()); !status.ok()) return {std::move(status)};
  Session& session = SessionOf(request.context().session_id());
  if (auto repeat = session.replies.Repeat(request.context())) {
    return {repeat->status, repeat->queued};
  }
  LockOutcome outcome;
  const auto answer =
      request.wait() ? session.replies.AnswerOf(request.ticket()) : std::optional<uint32_t>();
  if (answer) {
    if (*answer != 0) outcome.status = PosixError(static_cast<int>(*answer), "answered before");
  } else if (request.wait() && session.tickets.contains(request.ticket())) {
    outcome.queued = true;
  } else {
    outcome = Decide(request, answers);
    // A late copy of the request must not lock again what was unlocked since.
    if (request.wait() && !outcome.queued && !IsRetryable(outcome.status)) {
      session.replies.Answered(request.ticket(), static_cast<uint32_t>(ErrnoOf(outcome.status)));
    }
  }
  session.replies.Record(request.context(), {outcome.status, outcome.queued});
  return outcome;
}

LockOutcome FileLocks::Decide(const wire::SetLockRequest& request, Answers* answers) {
  const wire::FileLock& lock = request.lock();
  const Owner owner{request.context().session_id(), lock.owner()};
  LockOutcome outcome;
  const std::vector<Blocker> blockers = BlockersOf(lock, owner, /*at_most=*/64);
  if (!blockers.empty()) return Refuse(request, blockers, answers);
  if (!unpresented_.empty() && !HoldsAlready(lock, owner)) {
    grace_hurts_ = true;
    if (!request.wait()) return {NotKnownYet()};
    outcome.status = Enqueue({owner, request.ticket(), lock, request.context().client()});
    outcome.queued = outcome.status.ok();
    return outcome;
  }
  outcome.status = Apply(lock, owner);
  Serve(lock.ino(), answers);  // it may be weaker than what it replaces
  return outcome;
}

LockOutcome FileLocks::Refuse(const wire::SetLockRequest& request,
                              const std::vector<Blocker>& blockers, Answers* answers) {
  const wire::FileLock& lock = request.lock();
  const Owner owner{request.context().session_id(), lock.owner()};
  LockOutcome outcome;
  for (const Blocker& blocker : blockers) {
    outcome.in_the_way.push_back(SessionId(blocker.owner.session));
  }
  if (request.wait()) {
    if (lock.kind() == wire::LOCK_POSIX && WouldDeadlock(lock, owner)) {
      return {PosixError(EDEADLK, "the owners of the locks wait for each other")};
    }
    outcome.status = Enqueue({owner, request.ticket(), lock, request.context().client()});
    if (!outcome.status.ok()) return outcome;
    outcome.queued = true;
  } else {
    outcome.status = PosixError(EAGAIN, "locked");
  }
  // flock(2): a conversion removes the old lock first, so that it is lost when the new one is
  // refused, and others may have it while the new one waits.
  if (lock.kind() == wire::LOCK_FLOCK) {
    DropOwner(lock.ino(), lock.kind(), owner);
    Serve(lock.ino(), answers);
    ForgetIfUnused(lock.ino());
  }
  return outcome;
}

std::vector<FileLocks::Blocker> FileLocks::BlockersOf(const wire::FileLock& lock, Owner owner,
                                                      size_t at_most) const {
  std::vector<Blocker> blockers;
  const auto file = files_.find(lock.ino());
  if (file == files_.end()) return blockers;
  const Space& space = file->second->space(lock.kind());
  if (lock.type() == wire::LOCK_TYPE_NONE) return blockers;
  if (lock.type() == wire::LOCK_TYPE_READ && space.writes == 0) return blockers;
  for (const auto& [other, owned] : space.owners) {
    if (other == owner) continue;
    const auto piece = owned.ranges.FirstConflict(RangeOf(lock), TypeOf(lock));
    if (!piece) continue;
    blockers.push_back({other, *piece});
    if (blockers.size() == at_most) break;
  }
  return blockers;
}

bool FileLocks::HoldsAlready(const wire::FileLock& lock, Owner owner) const {
  if (lock.type() == wire::LOCK_TYPE_NONE) return true;
  const auto file = files_.find(lock.ino());
  if (file == files_.end()) return false;
  const Space& space = file->second->space(lock.kind());
  const auto owned = space.owners.find(owner);
  if (owned == space.owners.end()) return false;
  for (const LockPiece& piece : owned->second.ranges.In(RangeOf(lock))) {
    if (piece.type < TypeOf(lock)) return false;
  }
  return true;
}

absl::Status FileLocks::Apply(const wire::FileLock& lock, Owner owner) {
  auto& file = files_[lock.ino()];
  if (file == nullptr) file = std::make_unique<File>();
  Space& space = file->space(lock.kind());
  const auto found = space.owners.find(owner);
  LockRanges ranges;
  if (found != space.owners.end()) ranges = found->second.ranges;
  const size_t before = ranges.size();
  const size_t writes_before = ranges.writes();
  ranges.Set(RangeOf(lock), TypeOf(lock));
  Session& session = SessionOf(owner.session);
  // Unlocking the middle of a lock makes two of it, so this may refuse an unlock too.
  if (ranges.size() > before &&
      session.locks + ranges.size() - before > options_.max_locks_per_session) {
    ForgetIfUnused(lock.ino());
    return PosixError(ENOLCK, "the session holds too many locks");
  }
  session.locks += ranges.size();
  session.locks -= before;
  space.writes += ranges.writes();
  space.writes -= writes_before;
  if (ranges.empty()) {
    if (found != space.owners.end()) {
      space.owners.erase(found);
      Unuse(owner.session, lock.ino());
    }
    ForgetIfUnused(lock.ino());
    return absl::OkStatus();
  }
  if (found == space.owners.end()) Use(owner.session, lock.ino());
  Owned& owned = space.owners[owner];
  owned.ranges = std::move(ranges);
  if (lock.type() == wire::LOCK_TYPE_NONE) return absl::OkStatus();
  owned.handle = lock.handle();
  owned.pid = lock.pid();
  owned.kind = lock.kind();
  return absl::OkStatus();
}

void FileLocks::DropOwner(uint64_t ino, wire::LockKind kind, Owner owner) {
  const auto file = files_.find(ino);
  if (file == files_.end()) return;
  Space& space = file->second->space(kind);
  const auto owned = space.owners.find(owner);
  if (owned == space.owners.end()) return;
  SessionOf(owner.session).locks -= owned->second.ranges.size();
  space.writes -= owned->second.ranges.writes();
  space.owners.erase(owned);
  Unuse(owner.session, ino);
}

absl::StatusOr<wire::GetLockResponse> FileLocks::Get(const wire::GetLockRequest& request) const {
  const wire::FileLock& lock = request.lock();
  const Owner owner{request.context().session_id(), lock.owner()};
  wire::GetLockResponse response;
  absl::ReaderMutexLock guard(&mu_);
  RETURN_IF_ERROR(CheckAsker(request.context()));
  const std::vector<Blocker> blockers = BlockersOf(lock, owner, /*at_most=*/1);
  if (blockers.empty()) {
    if (!unpresented_.empty() && lock.type() != wire::LOCK_TYPE_NONE) return NotKnownYet();
    return response;
  }
  const Blocker& blocker = blockers.front();
  const Owned& owned = files_.at(lock.ino())->space(lock.kind()).owners.at(blocker.owner);
  response.set_conflict(true);
  response.set_remote(blocker.owner.session != owner.session);
  *response.mutable_lock() = Describe(lock.ino(), blocker.owner, owned, blocker.piece);
  return response;
}

wire::FileLock FileLocks::Describe(uint64_t ino, Owner owner, const Owned& owned, LockPiece piece) {
  wire::FileLock lock;
  lock.set_ino(ino);
  lock.set_kind(owned.kind);
  lock.set_type(static_cast<wire::LockType>(piece.type));
  lock.set_owner(owner.number);
  lock.set_handle(owned.handle);
  lock.set_start(piece.range.start);
  lock.set_end(piece.range.end);
  lock.set_pid(owned.pid);
  return lock;
}

}  // namespace penstock::metaserver

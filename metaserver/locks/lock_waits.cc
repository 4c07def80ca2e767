// The part of FileLocks that lets owners wait.
#include <algorithm>
#include <cerrno>

#include "common/status.h"
#include "metaserver/locks/file_locks.h"

namespace penstock::metaserver {

absl::Status FileLocks::Enqueue(Waiter waiter) {
  if (SessionOf(waiter.owner.session).tickets.size() >= options_.max_waits_per_session) {
    return PosixError(ENOLCK, "the session waits for too many locks");
  }
  const uint64_t ino = waiter.lock.ino();
  auto& file = files_[ino];
  if (file == nullptr) file = std::make_unique<File>();
  SessionOf(waiter.owner.session).tickets[waiter.ticket] = ino;
  Use(waiter.owner.session, ino);
  contended_.insert(ino);
  if (waiter.lock.kind() == wire::LOCK_POSIX) {
    process_waits_[waiter.owner].emplace_back(ino, waiter.ticket);
  }
  file->waiting.push_back(std::move(waiter));
  return absl::OkStatus();
}

std::list<FileLocks::Waiter>::iterator FileLocks::Dequeue(File& file,
                                                          std::list<Waiter>::iterator it) {
  const uint64_t ino = it->lock.ino();
  SessionOf(it->owner.session).tickets.erase(it->ticket);
  Unuse(it->owner.session, ino);
  if (auto waits = process_waits_.find(it->owner); waits != process_waits_.end()) {
    auto& list = waits->second;
    list.erase(std::remove(list.begin(), list.end(), std::pair(ino, it->ticket)), list.end());
    if (list.empty()) process_waits_.erase(waits);
  }
  const auto next = file.waiting.erase(it);
  if (file.waiting.empty()) contended_.erase(ino);
  return next;
}

void FileLocks::Answer(const Waiter& waiter, uint32_t err, Answers* answers) {
  SessionOf(waiter.owner.session).replies.Answered(waiter.ticket, err);
  Answered& answered = answers->emplace_back();
  answered.session = SessionId(waiter.owner.session);
  answered.answer.set_ticket(waiter.ticket);
  answered.answer.set_err(err);
}

// Gives what is free to those who wait, first come, first served.
void FileLocks::Serve(uint64_t ino, Answers* answers) {
  if (!unpresented_.empty()) return;
  const auto file = files_.find(ino);
  if (file == files_.end()) return;
  // Who is served may thereby weaken a lock that it held, so others can have theirs.
  while (!file->second->waiting.empty() && ServeOnce(*file->second, answers)) {
  }
  ForgetIfUnused(ino);
}

bool FileLocks::ServeOnce(File& file, Answers* answers) {
  bool served = false;
  for (auto it = file.waiting.begin(); it != file.waiting.end();) {
    if (!BlockersOf(it->lock, it->owner, /*at_most=*/1).empty()) {
      ++it;
      continue;
    }
    const absl::Status status = Apply(it->lock, it->owner);  // the waiter still uses the file
    Answer(*it, static_cast<uint32_t>(ErrnoOf(status)), answers);
    it = Dequeue(file, it);
    served = true;
  }
  return served;
}

// Whether `owner` would wait for somebody who waits, over however many others, for `owner`. Only
// waits of processes count: an open file description is used by many threads, and another one may
// unlock it.
bool FileLocks::WouldDeadlock(const wire::FileLock& lock, Owner owner) const {
  absl::flat_hash_set<Owner> seen;
  std::vector<Owner> open;
  const auto follow = [&](const wire::FileLock& wanted, Owner who) ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    for (const Blocker& blocker : BlockersOf(wanted, who, SIZE_MAX)) {
      if (seen.insert(blocker.owner).second) open.push_back(blocker.owner);
    }
  };
  follow(lock, owner);
  while (!open.empty()) {
    const Owner next = open.back();
    open.pop_back();
    if (next == owner) return true;
    const auto waits = process_waits_.find(next);
    if (waits == process_waits_.end()) continue;
    for (const auto& [ino, ticket] : waits->second) {
      for (const Waiter& waiter : files_.at(ino)->waiting) {
        if (waiter.owner == next && waiter.ticket == ticket) follow(waiter.lock, next);
      }
    }
  }
  return false;
}

// After a restart waits were queued before all locks were known.
void FileLocks::RefuseDeadlocks(uint64_t ino, Answers* answers) {
  const auto file = files_.find(ino);
  if (file == files_.end()) return;
  for (auto it = file->second->waiting.begin(); it != file->second->waiting.end();) {
    if (it->lock.kind() != wire::LOCK_POSIX || !WouldDeadlock(it->lock, it->owner)) {
      ++it;
      continue;
    }
    Answer(*it, EDEADLK, answers);
    it = Dequeue(*file->second, it);
  }
  ForgetIfUnused(ino);
}

absl::StatusOr<wire::CancelLockResponse> FileLocks::Cancel(const wire::CancelLockRequest& request) {
  wire::CancelLockResponse response;
  absl::MutexLock guard(&mu_);
  RETURN_IF_ERROR(CheckAsker(request.context()));
  Session& session = SessionOf(request.context().session_id());
  if (auto answer = session.replies.AnswerOf(request.ticket())) {
    response.set_granted(*answer == 0);
    return response;
  }
  const auto ticket = session.tickets.find(request.ticket());
  // A request that is still under way must not wait when it arrives.
  session.replies.Answered(request.ticket(), EINTR);
  if (ticket == session.tickets.end()) return absl::NotFoundError("nobody waits with this ticket");
  const uint64_t ino = ticket->second;
  File& file = *files_.at(ino);
  for (auto it = file.waiting.begin(); it != file.waiting.end(); ++it) {
    if (it->ticket != request.ticket() || it->owner.session != request.context().session_id()) {
      continue;
    }
    Dequeue(file, it);
    break;
  }
  ForgetIfUnused(ino);
  return response;
}

}  // namespace penstock::metaserver

// The part of FileLocks that lets locks go: closes, the end of a session; and that gets them back:
// the time after a start.
#include <algorithm>

#include "common/status.h"
#include "metaserver/locks/file_locks.h"

namespace penstock::metaserver {

FileLocks::Session& FileLocks::SessionOf(uint64_t session) {
  auto& found = sessions_[session];
  if (found == nullptr) found = std::make_unique<Session>();
  return *found;
}

void FileLocks::Use(uint64_t session, uint64_t ino) { ++SessionOf(session).uses[ino]; }

void FileLocks::Unuse(uint64_t session, uint64_t ino) {
  auto& uses = SessionOf(session).uses;
  const auto it = uses.find(ino);
  INVARIANT(it != uses.end());
  if (--it->second == 0) uses.erase(it);
}

void FileLocks::ForgetIfUnused(uint64_t ino) {
  const auto it = files_.find(ino);
  if (it == files_.end()) return;
  const File& file = *it->second;
  if (file.record.owners.empty() && file.whole.owners.empty() && file.waiting.empty()) {
    files_.erase(it);
  }
}

absl::Status FileLocks::CheckAsker(const wire::MetaContext& context) const {
  const auto session = sessions_.find(context.session_id());
  if (session != sessions_.end()) {
    RETURN_IF_ERROR(session->second->client.Check(context.client()));
  }
  if (!unpresented_.contains(context.session_id())) return absl::OkStatus();
  return absl::AbortedError("the session's locks are not known yet");
}

absl::Status FileLocks::Release(const wire::ReleaseLocksRequest& request) {
  const uint64_t id = request.context().session_id();
  Answers answers;
  {
    absl::MutexLock guard(&mu_);
    RETURN_IF_ERROR(CheckAsker(request.context()));
    Session& session = SessionOf(id);
    if (auto repeat = session.replies.Repeat(request.context())) return repeat->status;
    session.replies.Record(request.context(), {});
    const auto file = files_.find(request.ino());
    if (file == files_.end()) return absl::OkStatus();
    for (wire::LockKind kind : {wire::LOCK_POSIX, wire::LOCK_FLOCK}) {
      // A close ends a process's fcntl locks; those of flock end with the open file only.
      if (!request.by_handle() && kind == wire::LOCK_FLOCK) continue;
      std::vector<Owner> gone;
      const auto& owners = file->second->space(kind).owners;
      for (auto it = owners.lower_bound(Owner{id, 0});
           it != owners.end() && it->first.session == id; ++it) {
        const bool named = request.by_handle() ? it->second.handle == request.handle()
                                               : it->first.number == request.owner();
        if (named) gone.push_back(it->first);
      }
      for (Owner owner : gone) DropOwner(request.ino(), kind, owner);
    }
    Serve(request.ino(), &answers);
    ForgetIfUnused(request.ino());
  }
  Send(answers);
  return absl::OkStatus();
}

void FileLocks::DropSession(SessionId id) {
  Answers answers;
  {
    absl::MutexLock lock(&mu_);
    std::vector<uint64_t> inodes;
    if (const auto session = sessions_.find(id.value()); session != sessions_.end()) {
      for (const auto& [ino, uses] : session->second->uses) inodes.push_back(ino);
    }
    for (uint64_t ino : inodes) {
      File& file = *files_.at(ino);
      for (wire::LockKind kind : {wire::LOCK_POSIX, wire::LOCK_FLOCK}) {
        auto& owners = file.space(kind).owners;
        while (true) {
          const auto it = owners.lower_bound(Owner{id.value(), 0});
          if (it == owners.end() || it->first.session != id.value()) break;
          DropOwner(ino, kind, Owner(it->first));
        }
      }
      for (auto it = file.waiting.begin(); it != file.waiting.end();) {
        it = it->owner.session == id.value() ? Dequeue(file, it) : std::next(it);
      }
    }
    sessions_.erase(id.value());
    for (uint64_t ino : inodes) {
      Serve(ino, &answers);
      ForgetIfUnused(ino);
    }
    if (unpresented_.erase(id.value()) > 0 && unpresented_.empty()) EndGrace(&answers);
  }
  Send(answers);
}

absl::StatusOr<FileLocks::Resumed> FileLocks::Resume(SessionId id, uint64_t client) {
  Resumed resumed;
  Answers answers;
  {
    absl::MutexLock guard(&mu_);
    RETURN_IF_ERROR(SessionOf(id.value()).client.Note(client));
    // Only the client that died could have presented them. Waiting for that would keep everybody
    // from locking for ever, since the session lives; and ending the session would take all that
    // its mount has open. So it holds none.
    resumed.unknown = unpresented_.erase(id.value()) > 0;
    if (resumed.unknown && unpresented_.empty()) EndGrace(&answers);
    DropEarlierWaits(id.value(), client);
    resumed.locks = HeldBy(id.value());
  }
  Send(answers);
  return resumed;
}

// Nobody waits behind a wait, so nobody is served by its end.
void FileLocks::DropEarlierWaits(uint64_t session, uint64_t client) {
  absl::flat_hash_set<uint64_t> inodes;
  for (const auto& [ticket, ino] : SessionOf(session).tickets) inodes.insert(ino);
  for (uint64_t ino : inodes) {
    File& file = *files_.at(ino);
    for (auto it = file.waiting.begin(); it != file.waiting.end();) {
      const bool over = it->owner.session == session && it->client < client;
      it = over ? Dequeue(file, it) : std::next(it);
    }
    ForgetIfUnused(ino);
  }
}

std::vector<wire::FileLock> FileLocks::HeldBy(uint64_t session) {
  std::vector<wire::FileLock> held;
  for (const auto& [ino, uses] : SessionOf(session).uses) {
    File& file = *files_.at(ino);
    for (const Space* space : {&file.record, &file.whole}) {
      for (auto it = space->owners.lower_bound(Owner{session, 0});
           it != space->owners.end() && it->first.session == session; ++it) {
        for (const LockPiece& piece : it->second.ranges.All()) {
          held.push_back(Describe(ino, it->first, it->second, piece));
        }
      }
    }
  }
  return held;
}

LockCounts FileLocks::CountsOf(SessionId id) const {
  absl::ReaderMutexLock lock(&mu_);
  const auto session = sessions_.find(id.value());
  if (session == sessions_.end()) return {};
  return {session->second->locks, session->second->tickets.size()};
}

std::vector<SessionId> FileLocks::InTheWay() const {
  absl::flat_hash_set<uint64_t> found;
  absl::ReaderMutexLock lock(&mu_);
  for (uint64_t ino : contended_) {
    for (const Waiter& waiter : files_.at(ino)->waiting) {
      for (const Blocker& blocker : BlockersOf(waiter.lock, waiter.owner, SIZE_MAX)) {
        found.insert(blocker.owner.session);
      }
    }
  }
  if (grace_hurts_) found.insert(unpresented_.begin(), unpresented_.end());
  std::vector<SessionId> sessions;
  for (uint64_t id : found) sessions.emplace_back(id);
  return sessions;
}

void FileLocks::BeginGrace(absl::Span<const SessionId> sessions) {
  absl::MutexLock lock(&mu_);
  for (SessionId id : sessions) unpresented_.insert(id.value());
}

bool FileLocks::InGrace() const {
  absl::ReaderMutexLock lock(&mu_);
  return !unpresented_.empty();
}

size_t FileLocks::Reclaim(SessionId id, absl::Span<const wire::FileLock> locks) {
  Answers answers;
  size_t refused = 0;
  {
    absl::MutexLock guard(&mu_);
    if (!unpresented_.contains(id.value())) return 0;
    for (const wire::FileLock& lock : locks) {
      const Owner owner{id.value(), lock.owner()};
      const bool given = CheckLock(lock).ok() && BlockersOf(lock, owner, /*at_most=*/1).empty() &&
                         Apply(lock, owner).ok();
      if (!given) ++refused;
    }
    unpresented_.erase(id.value());
    if (unpresented_.empty()) EndGrace(&answers);
  }
  Send(answers);
  return refused;
}

// Everything that is locked is known again.
void FileLocks::EndGrace(Answers* answers) {
  grace_hurts_ = false;
  const std::vector<uint64_t> inodes(contended_.begin(), contended_.end());
  for (uint64_t ino : inodes) Serve(ino, answers);
  for (uint64_t ino : inodes) RefuseDeadlocks(ino, answers);
}

void FileLocks::Send(const Answers& answers) {
  for (const Answered& answered : answers) answers_->Answer(answered.session, answered.answer);
}

}  // namespace penstock::metaserver

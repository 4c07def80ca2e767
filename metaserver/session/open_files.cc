// The part of SessionTable that knows which session holds which inode open.
#include <algorithm>

#include "common/status.h"
#include "metaserver/session/session_table.h"

namespace penstock::metaserver {

void SessionTable::SetOpen(Session& session, uint64_t ino, Opened how) {
  const auto [open, fresh] = session.opens.try_emplace(ino);
  Holders& holders = holders_[ino];
  if (fresh) holders.sessions.push_back(session.record.id.value());
  open->second.version = std::max(open->second.version, how.version);
  open->second.shared = open->second.shared || how.shared;
  open->second.writes = open->second.writes || how.writes;
  if (!how.write || open->second.write) return;
  open->second.write = true;
  ++session.writes;
  ++holders.writers;
}

void SessionTable::Release(Session& session, uint64_t ino, Released how) {
  auto open = session.opens.find(ino);
  if (open == session.opens.end() || open->second.version > how.version) return;
  const auto held = holders_.find(ino);
  INVARIANT(held != holders_.end());
  if (open->second.write) {
    open->second.write = open->second.writes = false;
    --session.writes;
    --held->second.writers;
  }
  if (how.write_only) return;
  session.opens.erase(open);
  auto& sessions = held->second.sessions;
  sessions.erase(std::remove(sessions.begin(), sessions.end(), session.record.id.value()),
                 sessions.end());
  if (sessions.empty()) holders_.erase(held);
}

void SessionTable::DropAll(Session& session, uint64_t version) {
  std::vector<uint64_t> inodes;
  inodes.reserve(session.opens.size());
  for (const auto& [ino, how] : session.opens) inodes.push_back(ino);
  for (uint64_t ino : inodes) Release(session, ino, {false, version});
}

void SessionTable::NoteOpen(SessionId id, InodeNumber ino, Opened how) {
  absl::MutexLock lock(&mu_);
  Session* session = Find(id);
  // One that is being ended may yet live on, when the log fails.
  if (session == nullptr || session->record.ended) return;
  how.writes = how.write;
  SetOpen(*session, ino.value(), how);
  session->opens.find(ino.value())->second.shared = how.shared;
}

void SessionTable::NoteHeld(SessionId id, InodeNumber ino, Opened how) {
  absl::MutexLock lock(&mu_);
  Session* session = Find(id);
  if (session != nullptr && !session->record.ended) SetOpen(*session, ino.value(), how);
}

void SessionTable::SetShared(SessionId id, InodeNumber ino, bool shared) {
  absl::MutexLock lock(&mu_);
  Session* session = Find(id);
  if (session == nullptr) return;
  auto open = session->opens.find(ino.value());
  if (open != session->opens.end()) open->second.shared = shared;
}

SessionTable::Use SessionTable::UseOf(InodeNumber ino, SessionId self) const {
  Use use;
  absl::MutexLock lock(&mu_);
  auto held = holders_.find(ino.value());
  if (held == holders_.end()) return use;
  uint32_t own = 0;
  if (const Session* session = Find(self)) {
    auto open = session->opens.find(ino.value());
    if (open != session->opens.end()) own = 1;
    use.writes = own == 1 && open->second.write;
  }
  use.opened = own == 1;
  use.others = held->second.sessions.size() > own;
  use.other_writers = held->second.writers > (use.writes ? 1u : 0u);
  return use;
}

bool SessionTable::OtherWriters(InodeNumber ino, SessionId self) const {
  return UseOf(ino, self).other_writers;
}

absl::InlinedVector<OpenElsewhere, 2> SessionTable::Others(InodeNumber ino, SessionId self) const {
  absl::InlinedVector<OpenElsewhere, 2> others;
  absl::MutexLock lock(&mu_);
  auto held = holders_.find(ino.value());
  if (held == holders_.end()) return others;
  for (uint64_t id : held->second.sessions) {
    if (id == self.value()) continue;
    const Session* session = Find(SessionId(id));
    INVARIANT(session != nullptr);
    const Opened& open = session->opens.find(ino.value())->second;
    others.push_back({SessionId(id), open.write, open.shared});
  }
  return others;
}

bool SessionTable::IsHeld(InodeNumber ino) const {
  absl::MutexLock lock(&mu_);
  return holders_.contains(ino.value());
}

std::vector<InodeNumber> SessionTable::WrittenOnlyBy(SessionId id) const {
  std::vector<InodeNumber> written;
  if (AllReportedAt() == absl::InfinitePast()) return written;
  absl::MutexLock lock(&mu_);
  const Session* session = Find(id);
  if (session == nullptr || session->writes == 0) return written;
  for (const auto& [ino, open] : session->opens) {
    if (open.write && !WritesElsewhere(ino, id)) written.emplace_back(ino);
  }
  return written;
}

bool SessionTable::WrittenByOthers(InodeNumber ino, SessionId self) const {
  absl::MutexLock lock(&mu_);
  return WritesElsewhere(ino.value(), self);
}

bool SessionTable::WritesElsewhere(uint64_t ino, SessionId self) const {
  auto held = holders_.find(ino);
  if (held == holders_.end()) return false;
  const auto& sessions = held->second.sessions;
  return std::any_of(sessions.begin(), sessions.end(), [&](uint64_t id) {
    mu_.AssertHeld();
    return id != self.value() && Find(SessionId(id))->opens.at(ino).writes;
  });
}

absl::Time SessionTable::AllReportedAt() const {
  absl::Time all = absl::InfiniteFuture();
  absl::MutexLock lock(&mu_);
  for (const auto& [id, session] : sessions_) all = std::min(all, session->last_report);
  return all;
}

absl::Duration SessionTable::LeaseSilence(SessionId id) const {
  absl::MutexLock lock(&mu_);
  const Session* session = Find(id);
  if (session == nullptr || session->record.ended) return absl::InfiniteDuration();
  return clock_->SinceBoot() - session->last_kept;
}

std::vector<SessionId> SessionTable::Live() const {
  std::vector<SessionId> live;
  absl::MutexLock lock(&mu_);
  for (const auto& [id, session] : sessions_) {
    if (!session->record.ended) live.push_back(session->record.id);
  }
  return live;
}

bool SessionTable::AllBack() const {
  absl::MutexLock lock(&mu_);
  if (all_back_) return true;
  for (const auto& [id, session] : sessions_) {
    if (!session->record.ended && !session->whole && Silence(*session) < options_.timeout) {
      return false;
    }
  }
  all_back_ = true;
  return true;
}

}  // namespace penstock::metaserver

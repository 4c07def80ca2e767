// The part of SessionTable that knows which session holds which inode open.
#include <algorithm>

#include "common/status.h"
#include "metaserver/session/session_table.h"

namespace penstock::metaserver {

void SessionTable::SetOpen(Session& session, uint64_t ino, bool write) {
  const auto [open, fresh] = session.opens.try_emplace(ino, false);
  Holders& holders = holders_[ino];
  if (fresh) ++holders.sessions;
  if (!write || open->second) return;
  open->second = true;
  ++session.writes;
  ++holders.writers;
}

void SessionTable::Release(Session& session, uint64_t ino, bool write_only) {
  auto open = session.opens.find(ino);
  if (open == session.opens.end()) return;
  const auto held = holders_.find(ino);
  INVARIANT(held != holders_.end());
  if (open->second) {
    open->second = false;
    --session.writes;
    --held->second.writers;
  }
  if (write_only) return;
  session.opens.erase(open);
  if (--held->second.sessions == 0) holders_.erase(held);
}

void SessionTable::DropAll(Session& session) {
  std::vector<uint64_t> inodes;
  inodes.reserve(session.opens.size());
  for (const auto& [ino, write] : session.opens) inodes.push_back(ino);
  for (uint64_t ino : inodes) Release(session, ino, /*write_only=*/false);
}

void SessionTable::NoteOpen(SessionId id, InodeNumber ino, bool write) {
  absl::MutexLock lock(&mu_);
  Session* session = Find(id);
  // One that is being ended may yet live on, when the log fails.
  if (session != nullptr && !session->record.ended) SetOpen(*session, ino.value(), write);
}

bool SessionTable::OtherWriters(InodeNumber ino, SessionId self) const {
  absl::MutexLock lock(&mu_);
  auto held = holders_.find(ino.value());
  if (held == holders_.end()) return false;
  uint32_t own = 0;
  if (const Session* session = Find(self)) {
    auto open = session->opens.find(ino.value());
    if (open != session->opens.end() && open->second) own = 1;
  }
  return held->second.writers > own;
}

bool SessionTable::IsHeld(InodeNumber ino) const {
  absl::MutexLock lock(&mu_);
  return holders_.contains(ino.value());
}

absl::Time SessionTable::AllReportedAt() const {
  absl::Time all = absl::InfiniteFuture();
  absl::MutexLock lock(&mu_);
  for (const auto& [id, session] : sessions_) all = std::min(all, session->last_report);
  return all;
}

}  // namespace penstock::metaserver

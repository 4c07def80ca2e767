// The part of SessionTable that knows which session holds which inode open.
#include <algorithm>

#include "metaserver/session/session_table.h"

namespace penstock::metaserver {

void SessionTable::SetOpen(Session& session, uint64_t ino, bool write) {
  bool& writes = session.opens[ino];
  if (write && !writes) {
    writes = true;
    ++session.writes;
  }
  const uint64_t id = session.record.id.value();
  auto& holders = holders_[ino];
  for (auto& [holder, holds_write] : holders) {
    if (holder != id) continue;
    holds_write = writes;
    return;
  }
  holders.emplace_back(id, writes);
}

void SessionTable::Release(Session& session, uint64_t ino, bool write_only) {
  auto open = session.opens.find(ino);
  if (open == session.opens.end()) return;
  if (open->second) --session.writes;
  open->second = false;
  if (!write_only) session.opens.erase(open);
  auto held = holders_.find(ino);
  if (held == holders_.end()) return;
  auto& holders = held->second;
  auto self = std::find_if(holders.begin(), holders.end(), [&session](const auto& holder) {
    return holder.first == session.record.id.value();
  });
  if (self == holders.end()) return;
  self->second = false;
  if (write_only) return;
  holders.erase(self);
  if (holders.empty()) holders_.erase(held);
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
  return std::any_of(held->second.begin(), held->second.end(), [self](const auto& holder) {
    return holder.second && holder.first != self.value();
  });
}

bool SessionTable::IsHeld(InodeNumber ino) const {
  absl::MutexLock lock(&mu_);
  return holders_.contains(ino.value());
}

bool SessionTable::AllReportedSince(absl::Time time) const {
  absl::MutexLock lock(&mu_);
  return std::all_of(sessions_.begin(), sessions_.end(),
                     [time](const auto& item) { return item.second->last_report > time; });
}

}  // namespace penstock::metaserver

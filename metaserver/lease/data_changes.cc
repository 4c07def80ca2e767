#include "metaserver/lease/data_changes.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/status.h"

namespace penstock::metaserver {
namespace {

void RunAll(std::vector<DataChanges::Go> all) {
  for (DataChanges::Go& go : all) std::move(go)();
}

}  // namespace

bool DataChanges::MustWait(const File& file, uint64_t ino, SessionId session) {
  bool told = false;
  for (const DataChange* change : file.changes) {
    if (change->changer_ == session) return false;  // others may wait for what it does next
    const auto& all = change->told_.at(ino);
    const auto it = all.find(session.value());
    if (it == all.end()) continue;
    if (!it->second.answered || it->second.asked) return false;
    told = true;
  }
  return told;
}

void DataChanges::NoteAsked(const File& file, uint64_t ino, SessionId session) {
  for (DataChange* change : file.changes) {
    auto& all = change->told_.at(ino);
    const auto it = all.find(session.value());
    if (it != all.end()) it->second.asked = true;
  }
}

template <typename Condition>
void DataChanges::Take(File& file, Condition condition, std::vector<Go>* go) {
  std::vector<Held> left;
  for (Held& held : file.held) {
    if (condition(held)) {
      if (--held_[held.session.value()] == 0) held_.erase(held.session.value());
      go->push_back(std::move(held.go));
    } else {
      left.push_back(std::move(held));
    }
  }
  file.held = std::move(left);
}

bool DataChanges::Tell(DataChange& change, InodeNumber ino, SessionId session) {
  absl::MutexLock lock(&mu_);
  const auto told = change.told_.find(ino.value());
  if (told != change.told_.end()) {
    const auto it = told->second.find(session.value());
    if (it != told->second.end() && !it->second.asked) return false;
  }
  NoteTold(change, ino, session);
  return true;
}

void DataChanges::Told(DataChange& change, InodeNumber ino, SessionId session) {
  absl::MutexLock lock(&mu_);
  NoteTold(change, ino, session);
}

void DataChanges::NoteTold(DataChange& change, InodeNumber ino, SessionId session) {
  const auto [told, first] = change.told_.try_emplace(ino.value());
  File& file = files_[ino.value()];
  if (first) file.changes.push_back(&change);
  told->second[session.value()] = DataChange::Told();
  auto of_session = [&](const Held& held) { return held.session == session; };
  Take(file, of_session, &change.let_go_);
}

void DataChanges::LetGo(DataChange& change) {
  std::vector<Go> go;
  {
    absl::MutexLock lock(&mu_);
    go.swap(change.let_go_);
  }
  RunAll(std::move(go));
}

void DataChanges::Answered(DataChange& change, InodeNumber ino, SessionId session) {
  absl::MutexLock lock(&mu_);
  const auto told = change.told_.find(ino.value());
  if (told == change.told_.end()) return;
  const auto it = told->second.find(session.value());
  if (it != told->second.end()) it->second.answered = true;
}

void DataChanges::End(DataChange& change) {
  if (change.told_.empty()) return;  // nearly always; only its own thread adds to it
  std::vector<Go> go;
  {
    absl::MutexLock lock(&mu_);
    for (const auto& [number, told] : change.told_) {
      const auto file = files_.find(number);
      INVARIANT(file != files_.end());
      std::erase(file->second.changes, &change);
      auto free = [&, ino = number](const Held& held) {
        return !MustWait(file->second, ino, held.session);
      };
      Take(file->second, free, &go);
      if (file->second.changes.empty()) files_.erase(file);
    }
    change.told_.clear();
    std::move(change.let_go_.begin(), change.let_go_.end(), std::back_inserter(go));
    change.let_go_.clear();
  }
  RunAll(std::move(go));
}

bool DataChanges::Knows(InodeNumber ino, SessionId session) const {
  absl::MutexLock lock(&mu_);
  const auto file = files_.find(ino.value());
  if (file == files_.end()) return false;
  const auto& changes = file->second.changes;
  return std::any_of(changes.begin(), changes.end(), [&](const DataChange* change) {
    return change->told_.at(ino.value()).contains(session.value());
  });
}

void DataChanges::NoteAsked(InodeNumber ino, SessionId session) {
  absl::MutexLock lock(&mu_);
  const auto file = files_.find(ino.value());
  if (file != files_.end()) NoteAsked(file->second, ino.value(), session);
}

bool DataChanges::Hold(InodeNumber ino, SessionId session, Go go) {
  absl::MutexLock lock(&mu_);
  const auto file = files_.find(ino.value());
  if (file == files_.end()) return false;
  const auto mine = held_.find(session.value());
  const bool full = mine != held_.end() && mine->second >= kMostHeld;
  if (full || !MustWait(file->second, ino.value(), session)) {
    NoteAsked(file->second, ino.value(), session);
    return false;
  }
  ++held_[session.value()];
  file->second.held.push_back({session, std::move(go), clock_->SinceBoot() + kLongestHold});
  return true;
}

void DataChanges::Release(absl::Duration held_until) {
  std::vector<Go> go;
  {
    absl::MutexLock lock(&mu_);
    for (auto& [ino, file] : files_) {
      auto over = [&](const Held& held) { return held.until <= held_until; };
      for (const Held& held : file.held) {
        if (over(held)) NoteAsked(file, ino, held.session);
      }
      Take(file, over, &go);
    }
  }
  RunAll(std::move(go));
}

void DataChanges::ReleaseOverdue() { Release(clock_->SinceBoot()); }
void DataChanges::ReleaseAll() { Release(absl::InfiniteDuration()); }

}  // namespace penstock::metaserver

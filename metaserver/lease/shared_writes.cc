#include "metaserver/lease/shared_writes.h"

#include <utility>
#include <vector>

namespace penstock::metaserver {

void SharedWrites::Begin(SessionId session, InodeNumber ino, Granted granted) {
  {
    absl::MutexLock lock(&mu_);
    Turn& turn = turns_[ino.value()];
    if (!turn.holder.valid()) turn.holder = session;
    if (turn.holder != session) {
      turn.waiting.push_back({session, std::move(granted)});
      return;
    }
  }
  std::move(granted)();
}

void SharedWrites::EndLocked(SessionId session, uint64_t ino, std::vector<Granted>* call) {
  auto it = turns_.find(ino);
  if (it == turns_.end()) return;
  Turn& turn = it->second;
  std::deque<Waiter> left;
  for (Waiter& waiter : turn.waiting) {
    if (waiter.session == session) {
      call->push_back(std::move(waiter.granted));  // it has given up: whatever it hears is too late
    } else {
      left.push_back(std::move(waiter));
    }
  }
  turn.waiting = std::move(left);
  if (turn.holder != session) return;
  if (turn.waiting.empty()) {
    turns_.erase(it);
    return;
  }
  turn.holder = turn.waiting.front().session;
  for (auto waiter = turn.waiting.begin(); waiter != turn.waiting.end();) {
    if (waiter->session != turn.holder) {
      ++waiter;
      continue;
    }
    call->push_back(std::move(waiter->granted));
    waiter = turn.waiting.erase(waiter);
  }
}

void SharedWrites::End(SessionId session, InodeNumber ino) {
  std::vector<Granted> call;
  {
    absl::MutexLock lock(&mu_);
    EndLocked(session, ino.value(), &call);
  }
  for (Granted& granted : call) std::move(granted)();
}

bool SharedWrites::Holds(SessionId session, InodeNumber ino) const {
  absl::MutexLock lock(&mu_);
  auto it = turns_.find(ino.value());
  return it != turns_.end() && it->second.holder == session;
}

void SharedWrites::Gone(SessionId session) {
  std::vector<Granted> call;
  {
    absl::MutexLock lock(&mu_);
    std::vector<uint64_t> inodes;
    for (const auto& [ino, turn] : turns_) inodes.push_back(ino);
    for (uint64_t ino : inodes) EndLocked(session, ino, &call);
  }
  for (Granted& granted : call) std::move(granted)();
}

}  // namespace penstock::metaserver

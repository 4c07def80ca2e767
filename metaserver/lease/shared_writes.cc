#include "metaserver/lease/shared_writes.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace penstock::metaserver {
namespace {

bool IsUpTo(SharedWrites::Who last, SharedWrites::Who who) {
  return who.session == last.session && who.client <= last.client;
}

}  // namespace

void SharedWrites::Begin(Who who, InodeNumber ino, Granted granted) {
  {
    absl::MutexLock lock(&mu_);
    Turn& turn = turns_[ino.value()];
    if (!turn.holder.session.valid()) turn.holder = who;
    if (turn.holder.session != who.session) {
      turn.waiting.push_back({who, std::move(granted)});
      return;
    }
    turn.holder.client = std::max(turn.holder.client, who.client);
  }
  std::move(granted)();
}

void SharedWrites::EndLocked(Who last, uint64_t ino, std::vector<Granted>* call) {
  auto it = turns_.find(ino);
  if (it == turns_.end()) return;
  Turn& turn = it->second;
  std::deque<Waiter> left;
  for (Waiter& waiter : turn.waiting) {
    if (IsUpTo(last, waiter.who)) {
      call->push_back(std::move(waiter.granted));  // it has given up: whatever it hears is too late
    } else {
      left.push_back(std::move(waiter));
    }
  }
  turn.waiting = std::move(left);
  if (!IsUpTo(last, turn.holder)) return;
  if (turn.waiting.empty()) {
    turns_.erase(it);
    return;
  }
  turn.holder = turn.waiting.front().who;
  for (auto waiter = turn.waiting.begin(); waiter != turn.waiting.end();) {
    if (waiter->who.session != turn.holder.session) {
      ++waiter;
      continue;
    }
    turn.holder.client = std::max(turn.holder.client, waiter->who.client);
    call->push_back(std::move(waiter->granted));
    waiter = turn.waiting.erase(waiter);
  }
}

void SharedWrites::End(Who who, InodeNumber ino) {
  std::vector<Granted> call;
  {
    absl::MutexLock lock(&mu_);
    EndLocked(who, ino.value(), &call);
  }
  for (Granted& granted : call) std::move(granted)();
}

bool SharedWrites::Holds(SessionId session, InodeNumber ino) const {
  absl::MutexLock lock(&mu_);
  auto it = turns_.find(ino.value());
  return it != turns_.end() && it->second.holder.session == session;
}

void SharedWrites::EndAll(Who last) {
  std::vector<Granted> call;
  {
    absl::MutexLock lock(&mu_);
    std::vector<uint64_t> inodes;
    for (const auto& [ino, turn] : turns_) inodes.push_back(ino);
    for (uint64_t ino : inodes) EndLocked(last, ino, &call);
  }
  for (Granted& granted : call) std::move(granted)();
}

void SharedWrites::EndEarlier(Who who) {
  if (who.client > 0) EndAll({who.session, who.client - 1});
}

void SharedWrites::Gone(SessionId session) { EndAll({session, UINT64_MAX}); }

}  // namespace penstock::metaserver

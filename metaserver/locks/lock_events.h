// LockEvents brings the answers of waits to the clients, as events of their sessions. One whose
// queue is full hears of its grant when it asks again.
#pragma once

#include "metaserver/lease/session_events.h"
#include "metaserver/locks/file_locks.h"

namespace penstock::metaserver {

class LockEvents : public LockAnswers {
 public:
  explicit LockEvents(SessionEvents* events) : events_(events) {}  // must outlive this
  void Answer(SessionId session, const wire::LockAnswer& answer) override {
    wire::SessionEvent event;
    *event.add_lock_answers() = answer;
    events_->Post(session, std::move(event), EventEnds::kWhenHeard, [] {});
  }

 private:
  SessionEvents* const events_;
};

}  // namespace penstock::metaserver

// SessionEvents keeps what each session has to be told until it has answered: a queue a session,
// emptied by the session's long poll (docs/formats/wire.md). Thread-safe; callbacks run on the
// thread that brought the reason, with no lock held. An event is sent again with every poll until
// the session says that it has arrived, and is done when its acknowledgement is here.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/functional/any_invocable.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "proto/meta.pb.h"

namespace penstock::metaserver {

// When an event that nobody answers is over.
enum class EventEnds {
  kWithLeases,   // once the session's leases are void: it will serve nothing that it has cached
  kWithSession,  // once the session is gone and fenced: what it has written cannot come any more
  kWhenHeard,    // a message: done when it has arrived
};

class SessionEvents {
 public:
  using Done = absl::AnyInvocable<void() &&>;
  using Answer = absl::AnyInvocable<void(wire::SessionEventsResponse) &&>;
  static constexpr size_t kMaxQueued = 100'000;  // events of one session
  static constexpr int kMaxSentAtOnce = 1000;    // in one answer

  explicit SessionEvents(Clock* clock) : clock_(clock) {}

  void Enter(SessionId session);
  // `done` at once for a session that is not there. With a full queue false, and `done` is not
  // called: the caller must void the session's leases.
  bool Post(SessionId session, wire::SessionEvent event, EventEnds ends, Done done);
  // At most one poll a session waits: a newer one has the older answered empty.
  void Poll(SessionId session, const wire::SessionEventsRequest& request, Answer answer);

  size_t LeasesVoid(SessionId session);  // how many events that ended
  void Gone(SessionId session);
  // Since when the oldest event waits for an answer; zero: none.
  absl::Duration OldestUnanswered(SessionId session) const;
  size_t unanswered(SessionId session) const;
  // Sessions with events that end only with them, unanswered for longer than `age`.
  std::vector<SessionId> Overdue(absl::Duration age) const;
  void AnswerOldPolls();  // now and then: those whose time is over
  void AnswerAllPolls();  // before the server stops

 private:
  struct Event {
    wire::SessionEvent message;
    EventEnds ends;
    Done done;
    absl::Duration posted;
  };
  struct Session {
    std::map<uint64_t, Event> events;  // by number
    uint64_t last_number = 0;
    uint64_t sent = 0;  // up to this number in the answer to the last poll
    Answer poll;
    absl::Duration poll_ends;
  };
  void FillAnswer(Session& session, wire::SessionEventsResponse& response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AnswerPolls(absl::Duration ended_by);  // those that end by then
  size_t End(SessionId session, bool gone);

  Clock* const clock_;
  mutable absl::Mutex mu_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Session>> sessions_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::metaserver

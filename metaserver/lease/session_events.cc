#include "metaserver/lease/session_events.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace penstock::metaserver {
namespace {
constexpr absl::Duration kLongestPoll = absl::Seconds(30);
}

void SessionEvents::Enter(SessionId session) {
  absl::MutexLock lock(&mu_);
  auto [it, fresh] = sessions_.try_emplace(session.value());
  if (!fresh) return;
  it->second = std::make_unique<Session>();
  // Above every number of an earlier start of this server, so that none is taken for an old one.
  it->second->last_number = static_cast<uint64_t>(absl::ToUnixMillis(clock_->Now())) << 16;
}

bool SessionEvents::Post(SessionId id, wire::SessionEvent event, EventEnds ends, Done done) {
  Answer poll;
  wire::SessionEventsResponse response;
  {
    absl::MutexLock lock(&mu_);
    auto it = sessions_.find(id.value());
    if (it != sessions_.end()) {
      Session& session = *it->second;
      if (session.events.size() >= kMaxQueued) return false;
      const uint64_t number = ++session.last_number;
      event.set_number(number);
      session.events.emplace(number,
                             Event{std::move(event), ends, std::move(done), clock_->SinceBoot()});
      if (session.poll) {
        poll = std::exchange(session.poll, nullptr);
        FillAnswer(session, response);
      }
    }
  }
  if (done) std::move(done)();  // nobody there
  if (poll) std::move(poll)(std::move(response));
  return true;
}

void SessionEvents::FillAnswer(Session& session, wire::SessionEventsResponse& response) {
  auto it = session.events.upper_bound(session.sent);
  for (; it != session.events.end() && response.events_size() < kMaxSentAtOnce; ++it) {
    *response.add_events() = it->second.message;
    session.sent = it->first;
  }
}

void SessionEvents::Poll(SessionId id, const wire::SessionEventsRequest& request, Answer answer) {
  std::vector<Done> done;
  Answer older;
  wire::SessionEventsResponse response;
  bool at_once = true;
  {
    absl::MutexLock lock(&mu_);
    auto it = sessions_.find(id.value());
    if (it != sessions_.end()) {
      Session& session = *it->second;
      for (const wire::EventAck& ack : request.acks()) {
        auto event = session.events.find(ack.number());
        if (event == session.events.end()) continue;
        done.push_back(std::move(event->second.done));
        session.events.erase(event);
      }
      for (auto event = session.events.begin();
           event != session.events.end() && event->first <= request.received();) {
        if (event->second.ends != EventEnds::kWhenHeard) {
          ++event;
          continue;
        }
        done.push_back(std::move(event->second.done));
        event = session.events.erase(event);
      }
      if (request.wait_ms() > 0) {
        older = std::exchange(session.poll, nullptr);
        session.sent = request.received();  // what came with a lost answer comes again
        FillAnswer(session, response);
        if (response.events().empty()) {
          at_once = false;
          session.poll = std::move(answer);
          session.poll_ends =
              clock_->SinceBoot() + std::min(absl::Milliseconds(request.wait_ms()), kLongestPoll);
        }
      }
    }
  }
  for (Done& each : done) {
    if (each) std::move(each)();
  }
  if (older) std::move(older)(wire::SessionEventsResponse());
  if (at_once) std::move(answer)(std::move(response));
}

size_t SessionEvents::End(SessionId id, bool gone) {
  std::vector<Done> done;
  Answer poll;
  {
    absl::MutexLock lock(&mu_);
    auto it = sessions_.find(id.value());
    if (it == sessions_.end()) return 0;
    Session& session = *it->second;
    for (auto event = session.events.begin(); event != session.events.end();) {
      if (!gone && event->second.ends != EventEnds::kWithLeases) {
        ++event;
        continue;
      }
      done.push_back(std::move(event->second.done));
      event = session.events.erase(event);
    }
    if (gone) {
      poll = std::move(session.poll);
      sessions_.erase(it);
    }
  }
  for (Done& each : done) {
    if (each) std::move(each)();
  }
  if (poll) std::move(poll)(wire::SessionEventsResponse());
  return done.size();
}

size_t SessionEvents::LeasesVoid(SessionId session) { return End(session, /*gone=*/false); }
void SessionEvents::Gone(SessionId session) { End(session, /*gone=*/true); }

absl::Duration SessionEvents::OldestUnanswered(SessionId id) const {
  absl::MutexLock lock(&mu_);
  auto it = sessions_.find(id.value());
  if (it == sessions_.end() || it->second->events.empty()) return absl::ZeroDuration();
  return clock_->SinceBoot() - it->second->events.begin()->second.posted;
}

size_t SessionEvents::unanswered(SessionId id) const {
  absl::MutexLock lock(&mu_);
  auto it = sessions_.find(id.value());
  return it == sessions_.end() ? 0 : it->second->events.size();
}

std::vector<SessionId> SessionEvents::Overdue(absl::Duration age) const {
  std::vector<SessionId> overdue;
  const absl::Duration before = clock_->SinceBoot() - age;
  absl::MutexLock lock(&mu_);
  for (const auto& [id, session] : sessions_) {
    const bool any = std::any_of(session->events.begin(), session->events.end(), [&](auto& e) {
      return e.second.ends != EventEnds::kWhenHeard && e.second.posted <= before;
    });
    if (any) overdue.push_back(SessionId(id));
  }
  return overdue;
}

void SessionEvents::AnswerPolls(absl::Duration ended_by) {
  std::vector<Answer> over;
  {
    absl::MutexLock lock(&mu_);
    for (auto& [id, session] : sessions_) {
      if (session->poll && session->poll_ends <= ended_by) {
        over.push_back(std::exchange(session->poll, nullptr));
      }
    }
  }
  for (Answer& answer : over) std::move(answer)(wire::SessionEventsResponse());
}

void SessionEvents::AnswerOldPolls() { AnswerPolls(clock_->SinceBoot()); }
void SessionEvents::AnswerAllPolls() { AnswerPolls(absl::InfiniteDuration()); }

}  // namespace penstock::metaserver

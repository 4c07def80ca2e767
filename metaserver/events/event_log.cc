#include "metaserver/events/event_log.h"

#include <absl/strings/str_cat.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/logging.h"
#include "common/status.h"
#include "metaserver/store/record_codec.h"

namespace penstock::metaserver {
namespace {

constexpr std::string_view kEvents = "event/";
constexpr absl::Duration kWakeEvery = absl::Seconds(1);
constexpr size_t kMaxRemovedAtOnce = 2000;

std::string Key(uint64_t number) {
  std::string key(kEvents);
  AppendBig64(key, number);
  return key;
}

absl::StatusOr<uint64_t> NumberOf(const std::string& key) {
  if (key.size() != kEvents.size() + 8) return absl::DataLossError("damaged key of an event");
  return ReadBig64(std::string_view(key).substr(kEvents.size()));
}

std::string SeverityName(uint32_t severity) {
  switch (static_cast<Severity>(severity)) {
    case Severity::kInfo:
      return "info";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "unknown";
}

// One that cannot be read is told of as such: it is no reason to keep the others, or the server's
// start, from anybody.
absl::StatusOr<wire::ClusterEvent> Decode(const std::string& key, const std::string& value) {
  record::Event record;
  ASSIGN_OR_RETURN(const uint64_t number, NumberOf(key));
  wire::ClusterEvent event;
  event.set_number(number);
  if (!record.ParseFromString(value)) {
    event.set_severity("unknown");
    event.set_kind("events.damaged");
    event.set_text("the record of this event cannot be read");
    return event;
  }
  event.set_time_us(record.time_us());
  event.set_severity(SeverityName(record.severity()));
  event.set_kind(record.kind());
  event.set_text(record.text());
  return event;
}

// No more than so many bytes, and no part of a character (UTF-8).
void Shorten(std::string& text, size_t most) {
  if (text.size() <= most) return;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  text.resize(most);
}

}  // namespace

absl::StatusOr<std::unique_ptr<EventLog>> EventLog::Open(const EventLogOptions& options,
                                                         MetaStore* store, ReplicatedLog* log,
                                                         Clock* clock) {
  std::unique_ptr<EventLog> events(new EventLog(options, store, log, clock));
  RETURN_IF_ERROR(Annotate(events->Load(), "load events"));
  return events;
}

absl::Status EventLog::Load() {
  ASSIGN_OR_RETURN(const auto rows, store_->Scan(Family::kCluster, kEvents));
  absl::MutexLock lock(&mu_);
  for (const auto& [key, value] : rows) {
    ASSIGN_OR_RETURN(const wire::ClusterEvent event, Decode(key, value));
    next_ = event.number() + 1;
    times_us_.push_back(event.time_us());
  }
  return absl::OkStatus();
}

void EventLog::Start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "events");
    Run();
  });
}

void EventLog::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
  AnswerWaiters(/*all=*/true);
}

void EventLog::Run() {
  std::string last_error;
  for (bool stop = false; !stop;) {
    {
      auto due = [this]()
                     ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_ || !waiting_.empty(); };
      absl::MutexLock lock(&mu_);
      // After an error what waits is no reason to hurry.
      if (last_error.empty()) {
        mu_.AwaitWithTimeout(absl::Condition(&due), kWakeEvery);
      } else {
        mu_.AwaitWithTimeout(absl::Condition(&stopping_), kWakeEvery);
      }
      stop = stopping_;
    }
    const absl::Status status = Write();
    const std::string error = status.ok() ? "" : status.ToString();
    if (!error.empty() && error != last_error) {
      SPDLOG_WARN("events cannot be stored, trying on error={}", Quoted(error));
    }
    last_error = error;
    AnswerWaiters(/*all=*/false);
  }
}

void EventLog::Add(Severity severity, std::string kind, std::string text) {
  absl::MutexLock lock(&mu_);
  if (limiter_.Admit(kind, clock_->SinceBoot())) Queue(severity, std::move(kind), std::move(text));
}

void EventLog::Queue(Severity severity, std::string kind, std::string text) {
  if (waiting_.size() >= options_.max_waiting) {
    ++lost_;
    return;
  }
  record::Event& event = waiting_.emplace_back();
  event.set_time_us(absl::ToUnixMicros(clock_->Now()));
  event.set_severity(static_cast<uint32_t>(severity));
  event.set_kind(std::move(kind));
  Shorten(text, options_.max_text_bytes);
  event.set_text(std::move(text));
}

void EventLog::QueueSummaries() {
  for (const auto& [kind, count] : limiter_.TakeHeldBack(clock_->SinceBoot())) {
    Queue(Severity::kInfo, kind, absl::StrCat("and ", count, " more of this kind within a minute"));
  }
  if (lost_ > 0 && waiting_.size() < options_.max_waiting) {
    const uint64_t lost = std::exchange(lost_, 0);
    Queue(Severity::kWarning, "events.lost",
          absl::StrCat(lost, " events before this one could not be stored"));
  }
}

absl::Status EventLog::Write() {
  rocksdb::WriteBatch batch;
  rocksdb::ColumnFamilyHandle* const family = store_->family(Family::kCluster);
  size_t written = 0;
  size_t removed = 0;
  std::vector<int64_t> times;
  {
    absl::MutexLock lock(&mu_);
    QueueSummaries();
    for (const record::Event& event : waiting_) {
      batch.Put(family, Key(next_ + written), event.SerializeAsString());
      times.push_back(event.time_us());
      ++written;
    }
    const int64_t oldest = absl::ToUnixMicros(clock_->Now() - options_.max_age);
    const uint64_t first = next_ - times_us_.size();
    // The newest stays, however old: its number goes on after a restart.
    const size_t kept = written == 0 && !times_us_.empty() ? 1 : 0;
    while (removed < std::min(times_us_.size() - kept, kMaxRemovedAtOnce) &&
           (times_us_.size() - removed + written > options_.max_events ||
            times_us_[removed] < oldest)) {
      batch.Delete(family, Key(first + removed));
      ++removed;
    }
  }
  if (written + removed == 0) return absl::OkStatus();
  RETURN_IF_ERROR(log_->Commit(std::move(batch), Durability::kProcess).status());
  absl::MutexLock lock(&mu_);
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(written));
  next_ += written;
  times_us_.erase(times_us_.begin(), times_us_.begin() + static_cast<std::ptrdiff_t>(removed));
  times_us_.insert(times_us_.end(), times.begin(), times.end());
  return absl::OkStatus();
}

absl::StatusOr<wire::EventList> EventLog::List(const Query& query) const {
  wire::EventList list;
  {
    absl::MutexLock lock(&mu_);
    list.set_last(last());
  }
  ASSIGN_OR_RETURN(const auto rows, store_->Scan(Family::kCluster, kEvents, Key(query.after + 1)));
  std::vector<wire::ClusterEvent> found;
  for (const auto& [key, value] : rows) {
    ASSIGN_OR_RETURN(wire::ClusterEvent event, Decode(key, value));
    if (absl::FromUnixMicros(event.time_us()) < query.since) continue;
    if (event.number() > list.last()) break;  // at the next question
    found.push_back(std::move(event));
  }
  const size_t first = found.size() - std::min(found.size(), query.limit);
  for (size_t i = first; i < found.size(); ++i) *list.add_events() = std::move(found[i]);
  return list;
}

absl::StatusOr<wire::EventList> EventLog::After(uint64_t after) const {
  ASSIGN_OR_RETURN(wire::EventList list, List({.after = after}));
  const int most = static_cast<int>(options_.max_answer);
  if (list.events_size() > most) {
    list.mutable_events()->DeleteSubrange(most, list.events_size() - most);
    list.set_last(list.events(most - 1).number());
  }
  return list;
}

void EventLog::Await(uint64_t after, absl::Duration wait, Answer answer) {
  {
    absl::MutexLock lock(&mu_);
    // A number from before a restored backup is as good as the newest.
    after = std::min(after, last());
    if (after == last() && !stopping_) {
      waiters_.push_back({after, clock_->SinceBoot() + wait, std::move(answer)});
      return;
    }
  }
  auto list = After(after);
  if (list.ok()) return std::move(answer)(*std::move(list));
  // The thread answers, so that one who asks again at once asks at its pace.
  absl::MutexLock lock(&mu_);
  waiters_.push_back({after, clock_->SinceBoot(), std::move(answer)});
}

void EventLog::AnswerWaiters(bool all) {
  std::vector<Waiter> due;
  {
    absl::MutexLock lock(&mu_);
    const absl::Duration now = clock_->SinceBoot();
    auto waits = [&](const Waiter& waiter) {
      mu_.AssertHeld();
      return !all && waiter.after == last() && waiter.until > now;
    };
    auto begin = std::stable_partition(waiters_.begin(), waiters_.end(), waits);
    std::move(begin, waiters_.end(), std::back_inserter(due));
    waiters_.erase(begin, waiters_.end());
  }
  for (Waiter& waiter : due) {
    auto list = After(waiter.after);
    std::move(waiter.answer)(list.ok() ? *std::move(list) : wire::EventList());
  }
}

}  // namespace penstock::metaserver

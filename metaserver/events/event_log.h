// EventLog keeps what happened to the cluster on disk, a bounded number of events for a bounded
// time, and wakes those that follow. Thread-safe.
//
// Add() only queues. A thread writes what waits, in order, as one batch through the log; what
// cannot be written (a full disk) is tried again, and beyond the queue's bound it is only counted.
// kill -9 takes what was not written yet, a power cut what was not synced yet.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/functional/any_invocable.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "metaserver/events/event_limiter.h"
#include "metaserver/events/event_sink.h"
#include "metaserver/log/replicated_log.h"
#include "metaserver/store/meta_store.h"
#include "proto/admin.pb.h"
#include "proto/cluster_records.pb.h"

namespace penstock::metaserver {

struct EventLogOptions {
  size_t max_events = 10000;  // on disk
  absl::Duration max_age = absl::Hours(24 * 90);
  size_t max_waiting = 1000;     // not written yet
  size_t max_text_bytes = 2000;  // of one event; the rest is cut off
  size_t max_answer = 1000;      // events in one answer to a follower
};

class EventLog : public EventSink {
 public:
  using Answer = absl::AnyInvocable<void(wire::EventList) &&>;
  // The pointers must outlive the log.
  static absl::StatusOr<std::unique_ptr<EventLog>> Open(const EventLogOptions& options,
                                                        MetaStore* store, ReplicatedLog* log,
                                                        Clock* clock);
  ~EventLog() override { Stop(); }
  void Start();
  void Stop();  // writes what waits, answers those that follow; safe to repeat

  void Add(Severity severity, std::string kind, std::string text) override;

  // Those with a higher number than `after` and not older than `since`; of them the newest `limit`.
  struct Query {
    uint64_t after = 0;
    absl::Time since = absl::InfinitePast();
    size_t limit = SIZE_MAX;
  };
  absl::StatusOr<wire::EventList> List(const Query& query) const;
  // Answers once there are events after `after`, else with none when `wait` is over.
  void Await(uint64_t after, absl::Duration wait, Answer answer);

  // One round of the thread: writes what waits and removes what is too much or too old. After an
  // error it waits still.
  absl::Status Write();

 private:
  struct Waiter {
    uint64_t after;
    absl::Duration until;  // Clock::SinceBoot()
    Answer answer;
  };
  EventLog(const EventLogOptions& options, MetaStore* store, ReplicatedLog* log, Clock* clock)
      : options_(options), store_(store), log_(log), clock_(clock) {}
  absl::Status Load();
  void Queue(Severity severity, std::string kind, std::string text)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void QueueSummaries() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint64_t last() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return next_ - 1; }
  // Of them only the first max_answer.
  absl::StatusOr<wire::EventList> After(uint64_t after) const;
  void AnswerWaiters(bool all);
  void Run();

  const EventLogOptions options_;
  MetaStore* const store_;
  ReplicatedLog* const log_;
  Clock* const clock_;
  std::thread thread_;

  mutable absl::Mutex mu_;  // innermost; never held over the disk or a callback
  EventLimiter limiter_ ABSL_GUARDED_BY(mu_);
  std::deque<record::Event> waiting_ ABSL_GUARDED_BY(mu_);
  uint64_t lost_ ABSL_GUARDED_BY(mu_) = 0;             // since the last one that was queued
  uint64_t next_ ABSL_GUARDED_BY(mu_) = 1;             // number of the next that is written
  std::deque<int64_t> times_us_ ABSL_GUARDED_BY(mu_);  // of those on disk, up to next_
  std::vector<Waiter> waiters_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace penstock::metaserver

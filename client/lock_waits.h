// LockWaits keeps the requests for locks that wait at the metaserver, without a thread each: a wait
// is registered (Begin), asked for, and, when it was queued there, parked with a function that gets
// its one answer. Thread-safe.
//
// One thread does what nobody else may wait for:
//   - a signal ends a wait: it is cancelled first, so that a lock that was granted meanwhile is
//     given to the program instead of getting lost, and answered within about a second even when
//     the metaserver is away;
//   - now and then, and after a restart of the metaserver, it asks for each wait again;
//   - where a request's outcome is not known, it makes the metaserver agree with the LockTable.
// Lock order: mu_, then LockTable's.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/functional/any_invocable.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <deque>
#include <optional>
#include <thread>
#include <vector>

#include "client/lock_table.h"
#include "client/meta_api.h"

namespace penstock::client {

struct LockWaitsOptions {
  absl::Duration ask_again = absl::Seconds(5);  // of each wait; answers come as events before that
  absl::Duration call_timeout = absl::Seconds(1);  // of one call of the thread
  uint64_t first_ticket = 0;  // above those of an earlier client of the same session
};

// Whether the metaserver has decided: anything else may have happened or not.
bool IsDecision(const absl::Status& status);

class LockWaits {
 public:
  using Answer = absl::AnyInvocable<void(absl::Status) &&>;

  // Both must outlive this.
  LockWaits(MetaApi* meta, LockTable* table, LockWaitsOptions options = {});
  ~LockWaits() { Stop(); }
  void Start();
  void Stop();  // every wait ends with EIO

  uint64_t Begin(const wire::FileLock& lock);  // the wait's ticket
  // The metaserver answered the request itself: granted or refused.
  void Settle(uint64_t ticket, const absl::Status& status);
  // It was queued. `answer` is called once, on another thread or before this returns.
  void Park(uint64_t ticket, Answer answer);
  // A signal came for a parked request. Never blocks.
  void Interrupt(uint64_t ticket);
  // Nobody waits any more, and the metaserver may not know that. Its decision, when that is here
  // already.
  std::optional<absl::Status> Abandon(uint64_t ticket);
  void OnAnswer(const wire::LockAnswer& answer);  // an event; also of no wait, or a second time
  void OnSessionLost();                           // every wait ends with EIO
  void OnServerRestart();
  // Soon: the metaserver is made to agree with the table in the range of `lock`.
  void Repair(const wire::FileLock& lock);

  size_t size() const;

 private:
  struct Wait {
    wire::FileLock lock;
    Answer answer;                       // once parked
    std::optional<absl::Status> status;  // answered before it was parked
    absl::Time asked = absl::Now();
  };
  struct Abandoned {
    uint64_t ticket = 0;
    wire::FileLock lock;
  };
  void Run();
  void Finish(uint64_t ticket, const absl::Status& status);
  std::optional<wire::FileLock> LockOf(uint64_t ticket) const;
  void CancelInterrupted();
  void CancelAbandoned();
  void RunRepairs();
  absl::Status RepairOne(const wire::FileLock& lock);
  void AskAgain();
  void NoteAsked(uint64_t ticket);
  // NOT_FOUND: the metaserver does not know the ticket.
  absl::StatusOr<bool> Cancel(const Abandoned& wait);
  OpContext Op() const;
  bool Away() const;  // the metaserver did not answer just now
  void NoteAway();

  MetaApi* const meta_;
  LockTable* const table_;
  const LockWaitsOptions options_;
  net::Interrupt stop_;
  std::thread thread_;
  mutable absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t last_ticket_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<uint64_t, Wait> waits_ ABSL_GUARDED_BY(mu_);  // by ticket
  std::deque<uint64_t> interrupted_ ABSL_GUARDED_BY(mu_);
  std::deque<Abandoned> abandoned_ ABSL_GUARDED_BY(mu_);
  std::deque<wire::FileLock> repairs_ ABSL_GUARDED_BY(mu_);
  absl::Time away_until_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace penstock::client

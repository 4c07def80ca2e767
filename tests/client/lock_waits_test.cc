// Waits for locks, against a metaserver that says what the test wants.
#include "client/lock_waits.h"

#include <absl/synchronization/notification.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <functional>

#include "tests/testing/fake_clock.h"

namespace penstock::client {
namespace {

class FakeLockMeta : public MetaApi {
 public:
  using SetAnswer = std::function<absl::StatusOr<bool>(const wire::SetLockRequest&)>;  // queued?
  using CancelAnswer = std::function<absl::StatusOr<bool>(uint64_t)>;                  // granted?

  std::vector<wire::SetLockRequest> sets() {
    absl::MutexLock lock(&mu_);
    return sets_;
  }
  int cancels() {
    absl::MutexLock lock(&mu_);
    return cancels_;
  }
  void OnSet(SetAnswer answer) {
    absl::MutexLock lock(&mu_);
    on_set_ = std::move(answer);
  }
  void OnCancel(CancelAnswer answer) {
    absl::MutexLock lock(&mu_);
    on_cancel_ = std::move(answer);
  }

 protected:
  absl::Status Send(Kind kind, google::protobuf::Message* request, wire::MetaContext*,
                    google::protobuf::Message* response, const OpContext&) override {
    absl::MutexLock lock(&mu_);
    if (kind.method == wire::METHOD_SET_LOCK) {
      const auto& set = static_cast<const wire::SetLockRequest&>(*request);
      sets_.push_back(set);
      auto queued = on_set_(set);
      RETURN_IF_ERROR(queued.status());
      static_cast<wire::SetLockResponse*>(response)->set_queued(*queued);
      return absl::OkStatus();
    }
    ++cancels_;
    auto granted = on_cancel_(static_cast<const wire::CancelLockRequest&>(*request).ticket());
    RETURN_IF_ERROR(granted.status());
    static_cast<wire::CancelLockResponse*>(response)->set_granted(*granted);
    return absl::OkStatus();
  }

 private:
  absl::Mutex mu_;
  std::vector<wire::SetLockRequest> sets_ ABSL_GUARDED_BY(mu_);
  int cancels_ ABSL_GUARDED_BY(mu_) = 0;
  SetAnswer on_set_ ABSL_GUARDED_BY(mu_) = [](const auto&) { return true; };
  CancelAnswer on_cancel_ ABSL_GUARDED_BY(mu_) = [](uint64_t) { return false; };
};

struct WaitsFixture {
  explicit WaitsFixture(absl::Duration ask_again = absl::Hours(1))
      : waits(&meta, &table, {.ask_again = ask_again, .call_timeout = absl::Milliseconds(20)}) {
    waits.Start();
  }
  // A wait that the metaserver has queued.
  uint64_t Parked(uint64_t owner = 1) {
    const uint64_t ticket = waits.Begin(Lock(owner));
    waits.Park(ticket, Take());
    return ticket;
  }
  LockWaits::Answer Take() {
    return [this](const absl::Status& status) {
      absl::MutexLock lock(&mu);
      answers.push_back(ErrnoOf(status));
    };
  }
  static wire::FileLock Lock(uint64_t owner) {
    wire::FileLock lock;
    lock.set_ino(7);
    lock.set_type(wire::LOCK_TYPE_WRITE);
    lock.set_owner(owner);
    lock.set_end(9);
    return lock;
  }
  static wire::LockAnswer Granted(uint64_t ticket, uint32_t err = 0) {
    wire::LockAnswer answer;
    answer.set_ticket(ticket);
    answer.set_err(err);
    return answer;
  }
  bool WaitFor(const std::function<bool()>& condition) {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (!condition()) {
      if (absl::Now() > deadline) return false;
      absl::SleepFor(absl::Milliseconds(2));
    }
    return true;
  }
  std::vector<int> Answers(size_t count) {
    REQUIRE(WaitFor([&] {
      absl::MutexLock lock(&mu);
      return answers.size() >= count;
    }));
    absl::MutexLock lock(&mu);
    return answers;
  }
  int Held() {
    wire::SessionHeartbeatRequest report;
    table.AddTo(&report);
    return report.locks_size();
  }

  testing::FakeClock clock;
  LockTable table{&clock};
  FakeLockMeta meta;
  absl::Mutex mu;
  std::vector<int> answers;
  LockWaits waits;
};

}  // namespace

TEST_CASE("a wait gets one answer, before or after it is parked", "[client][locks]") {
  WaitsFixture f;
  const uint64_t ticket = f.Parked();
  f.waits.OnAnswer(f.Granted(ticket));
  f.waits.OnAnswer(f.Granted(ticket));
  REQUIRE(f.Answers(1) == std::vector<int>{0});
  REQUIRE(f.Held() == 1);
  const uint64_t early = f.waits.Begin(f.Lock(2));
  f.waits.OnAnswer(f.Granted(early, EDEADLK));
  f.waits.Park(early, f.Take());
  REQUIRE(f.Answers(2) == std::vector<int>{0, EDEADLK});
  REQUIRE(f.Held() == 1);
  REQUIRE(f.waits.size() == 0);
}

TEST_CASE("what was answered at once never waits", "[client][locks]") {
  WaitsFixture f;
  f.waits.Settle(f.waits.Begin(f.Lock(1)), absl::OkStatus());
  f.waits.Settle(f.waits.Begin(f.Lock(2)), PosixError(EDEADLK, "circle"));
  REQUIRE(f.waits.size() == 0);
  REQUIRE(f.Held() == 1);
}

TEST_CASE("a signal ends a wait after it was cancelled", "[client][locks]") {
  WaitsFixture f;
  f.waits.Interrupt(f.Parked());
  REQUIRE(f.Answers(1) == std::vector<int>{EINTR});
  REQUIRE(f.meta.cancels() == 1);
  REQUIRE(f.table.size() == 0);
}

TEST_CASE("a lock that was granted before the signal is the program's", "[client][locks]") {
  WaitsFixture f;
  f.meta.OnCancel([](uint64_t) { return true; });
  const uint64_t ticket = f.Parked();
  f.waits.Interrupt(ticket);
  REQUIRE(f.Answers(1) == std::vector<int>{0});
  f.waits.OnAnswer(f.Granted(ticket));  // the event is late
  REQUIRE(f.Held() == 1);
}

TEST_CASE("waits end while the metaserver is away, and are cancelled later", "[client][locks]") {
  WaitsFixture f;
  f.meta.OnCancel([](uint64_t) { return absl::UnavailableError("away"); });
  const uint64_t one = f.Parked(1), two = f.Parked(2);
  f.waits.Interrupt(one);
  f.waits.Interrupt(two);
  REQUIRE(f.Answers(2) == std::vector<int>{EINTR, EINTR});
  REQUIRE(f.table.OfOwner(InodeNumber(7), 1).size() == 1);  // it may have got it
  // One had been granted: it is given back. The other one was not.
  f.meta.OnSet([](const auto&) { return false; });
  f.meta.OnCancel([one](uint64_t ticket) { return ticket == one; });
  REQUIRE(f.WaitFor([&] { return f.meta.sets().size() == 1; }));
  REQUIRE(f.meta.sets()[0].lock().owner() == 1);
  REQUIRE(f.meta.sets()[0].lock().type() == wire::LOCK_TYPE_NONE);
}

TEST_CASE("an abandoned wait is cancelled, unless it was decided", "[client][locks]") {
  WaitsFixture f;
  const uint64_t decided = f.waits.Begin(f.Lock(1));
  f.waits.OnAnswer(f.Granted(decided));
  REQUIRE(f.waits.Abandon(decided) == absl::OkStatus());
  REQUIRE(f.Held() == 1);
  REQUIRE_FALSE(f.waits.Abandon(f.waits.Begin(f.Lock(2))).has_value());
  REQUIRE(f.WaitFor([&] { return f.meta.cancels() == 1; }));
  REQUIRE(f.waits.size() == 0);
}

TEST_CASE("a wait that the metaserver does not know is made good", "[client][locks]") {
  WaitsFixture f;
  f.meta.OnCancel([](uint64_t) { return absl::NotFoundError("who?"); });
  f.meta.OnSet([](const auto&) { return false; });
  f.waits.Interrupt(f.Parked());
  REQUIRE(f.Answers(1) == std::vector<int>{EINTR});
  REQUIRE(f.WaitFor([&] { return f.meta.sets().size() == 1; }));
  REQUIRE(f.meta.sets()[0].lock().type() == wire::LOCK_TYPE_NONE);
}

TEST_CASE("a lost session ends every wait", "[client][locks]") {
  WaitsFixture f;
  f.Parked(1);
  const uint64_t not_parked = f.waits.Begin(f.Lock(2));
  f.table.Forget();
  f.waits.OnSessionLost();
  REQUIRE(f.Answers(1) == std::vector<int>{EIO});
  f.waits.Park(not_parked, f.Take());
  REQUIRE(f.Answers(2) == std::vector<int>{EIO, EIO});
  REQUIRE(f.table.size() == 0);
}

TEST_CASE("the end of the mount ends every wait", "[client][locks]") {
  WaitsFixture f;
  f.Parked();
  f.waits.Stop();
  REQUIRE(f.Answers(1) == std::vector<int>{EIO});
}

TEST_CASE("each wait is asked for again, and after a restart at once", "[client][locks]") {
  const bool restart = GENERATE(false, true);
  WaitsFixture f(restart ? absl::Hours(1) : absl::Milliseconds(10));
  const uint64_t ticket = f.Parked();
  if (restart) f.waits.OnServerRestart();
  REQUIRE(f.WaitFor([&] { return !f.meta.sets().empty(); }));
  REQUIRE(f.meta.sets()[0].wait());
  REQUIRE(f.meta.sets()[0].ticket() == ticket);
  f.meta.OnSet([](const auto&) { return false; });
  if (restart) f.waits.OnServerRestart();
  REQUIRE(f.Answers(1) == std::vector<int>{0});
  REQUIRE(f.Held() == 1);
}

TEST_CASE("a repair sends what the table has until it is told", "[client][locks]") {
  WaitsFixture f;
  f.table.Begin(f.Lock(1));
  f.table.End(f.Lock(1), LockTable::Outcome::kDone);
  int calls = 0;
  f.meta.OnSet([&calls](const auto&) -> absl::StatusOr<bool> {
    if (++calls < 3) return absl::UnavailableError("away");
    return PosixError(EAGAIN, "another has it");
  });
  f.waits.Repair(f.Lock(1));
  REQUIRE(f.WaitFor([&] { return f.meta.sets().size() == 3; }));
  REQUIRE(f.WaitFor([&] { return f.Held() == 0; }));  // lost, so it is not presented again
}

}  // namespace penstock::client

#include "metaserver/events/event_log.h"

#include <absl/strings/str_cat.h>
#include <absl/synchronization/notification.h>

#include <catch2/catch.hpp>

#include "common/status.h"
#include "metaserver/log/single_node_log.h"
#include "metaserver/store/record_codec.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/temp_dir.h"

namespace penstock::metaserver {
namespace {

// Refuses entries while `broken`.
class FailingLog : public ReplicatedLog {
 public:
  explicit FailingLog(ReplicatedLog* log) : log_(log) {}
  absl::StatusOr<uint64_t> Commit(rocksdb::WriteBatch batch, Durability durability) override {
    if (broken) return PosixError(ENOSPC, "full");
    return log_->Commit(std::move(batch), durability);
  }
  absl::Status Sync() override { return log_->Sync(); }
  absl::Status RecoverFromFullDisk() override { return log_->RecoverFromFullDisk(); }
  uint64_t last_index() const override { return log_->last_index(); }
  uint64_t last_synced_index() const override { return log_->last_synced_index(); }
  std::atomic<bool> broken = false;

 private:
  ReplicatedLog* const log_;
};

struct LogFixture {
  explicit LogFixture(const EventLogOptions& o = {}) : options(o) { Reopen(); }
  void Reopen() {
    events.reset();
    failing.reset();
    log.reset();
    store.reset();
    store = *MetaStore::Open({.dir = dir.path() + "/db", .block_cache_bytes = 8 << 20});
    log = *SingleNodeLog::Open(store.get());
    failing = std::make_unique<FailingLog>(log.get());
    auto opened = EventLog::Open(options, store.get(), failing.get(), &clock);
    REQUIRE(opened.ok());
    events = *std::move(opened);
  }
  void Add(const std::string& text) { events->Add(Severity::kInfo, "a.kind", text); }
  std::vector<std::string> Texts(const EventLog::Query& query = {}) {
    auto list = events->List(query);
    REQUIRE(list.ok());
    std::vector<std::string> texts;
    for (const auto& event : list->events()) texts.push_back(event.text());
    return texts;
  }

  testing::TempDir dir;
  testing::FakeClock clock;
  EventLogOptions options;
  std::unique_ptr<MetaStore> store;
  std::unique_ptr<SingleNodeLog> log;
  std::unique_ptr<FailingLog> failing;
  std::unique_ptr<EventLog> events;
};

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("events are kept in order, over a restart too", "[metaserver][events]") {
  LogFixture fixture;
  fixture.events->Add(Severity::kError, "disk.problem", "one");
  fixture.Add("two");
  REQUIRE(fixture.Texts().empty());  // not written yet
  REQUIRE(fixture.events->Write().ok());
  REQUIRE(fixture.Texts() == Texts{"one", "two"});
  fixture.Reopen();
  fixture.clock.Advance(absl::Minutes(2));
  fixture.Add("three");
  REQUIRE(fixture.events->Write().ok());
  REQUIRE(fixture.Texts() == Texts{"one", "two", "three"});
  const auto list = fixture.events->List({});
  REQUIRE(list->last() == 3);
  REQUIRE(list->events(0).number() == 1);
  REQUIRE(list->events(0).severity() == "error");
  REQUIRE(list->events(0).kind() == "disk.problem");
  REQUIRE(list->events(2).number() == 3);
  REQUIRE(fixture.Texts({.after = 1}) == Texts{"two", "three"});
  REQUIRE(fixture.Texts({.limit = 1}) == Texts{"three"});
  REQUIRE(fixture.Texts({.since = fixture.clock.Now() - absl::Minutes(1)}) == Texts{"three"});
  REQUIRE(fixture.Texts({.after = 9}).empty());
}

TEST_CASE("only so many events are kept, and none that is too old", "[metaserver][events]") {
  LogFixture fixture({.max_events = 3, .max_age = absl::Hours(10)});
  for (int i = 1; i <= 5; ++i) fixture.Add(absl::StrCat(i));
  REQUIRE(fixture.events->Write().ok());
  REQUIRE(fixture.events->Write().ok());  // removes what was too much
  REQUIRE(fixture.Texts() == Texts{"3", "4", "5"});
  fixture.clock.Advance(absl::Hours(9));
  fixture.Add("6");
  REQUIRE(fixture.events->Write().ok());
  REQUIRE(fixture.Texts() == Texts{"4", "5", "6"});
  fixture.Reopen();
  fixture.clock.Advance(absl::Hours(2));
  REQUIRE(fixture.events->Write().ok());
  REQUIRE(fixture.Texts() == Texts{"6"});
  fixture.Add("7");
  REQUIRE(fixture.events->Write().ok());
  REQUIRE(fixture.events->List({})->last() == 7);
}

TEST_CASE("a full disk loses no event until the queue is full, and then says how many",
          "[metaserver][events]") {
  LogFixture fixture({.max_waiting = 2});
  fixture.failing->broken = true;
  for (const char* text : {"one", "two", "three", "four"}) fixture.Add(text);
  REQUIRE(!fixture.events->Write().ok());
  REQUIRE(fixture.Texts().empty());
  fixture.failing->broken = false;
  REQUIRE(fixture.events->Write().ok());
  REQUIRE(fixture.events->Write().ok());
  REQUIRE(fixture.Texts() == Texts{"one", "two", "2 events before this one could not be stored"});
}

TEST_CASE("a crowd of one kind becomes one event more", "[metaserver][events]") {
  LogFixture fixture;
  for (int i = 0; i < 500; ++i) fixture.Add("again");
  REQUIRE(fixture.events->Write().ok());
  REQUIRE(fixture.Texts().size() == EventLimiter::kPerWindow);
  fixture.clock.Advance(absl::Minutes(1));
  REQUIRE(fixture.events->Write().ok());
  REQUIRE(fixture.Texts().back() == absl::StrCat("and ", 500 - EventLimiter::kPerWindow,
                                                 " more of this kind within a minute"));
}

TEST_CASE("a long text is cut off", "[metaserver][events]") {
  LogFixture fixture({.max_text_bytes = 10});
  fixture.Add(std::string(1000, 'x'));
  REQUIRE(fixture.events->Write().ok());
  REQUIRE(fixture.Texts() == Texts{"xxxxxxxxxx"});
}

TEST_CASE("a text is not cut within a character, and damage keeps nothing else from being read",
          "[metaserver][events]") {
  LogFixture fixture({.max_text_bytes = 10});
  fixture.Add("123456789\xc3\xa4");
  REQUIRE(fixture.events->Write().ok());
  REQUIRE(fixture.Texts() == Texts{"123456789"});
  rocksdb::WriteBatch batch;
  std::string key = "event/";
  AppendBig64(key, 2);
  batch.Put(fixture.store->family(Family::kCluster), key, "\x0a\xff");
  REQUIRE(fixture.log->Commit(std::move(batch), Durability::kProcess).ok());
  fixture.Reopen();
  fixture.Add("after");
  REQUIRE(fixture.events->Write().ok());
  const auto list = fixture.events->List({});
  REQUIRE(list->events_size() == 3);
  REQUIRE(list->events(1).kind() == "events.damaged");
  REQUIRE(list->events(2).text() == "after");
}

TEST_CASE("the number of the last event goes on, however old it is", "[metaserver][events]") {
  LogFixture fixture({.max_age = absl::Hours(1)});
  fixture.Add("one");
  fixture.Add("two");
  REQUIRE(fixture.events->Write().ok());
  fixture.clock.Advance(absl::Hours(2));
  REQUIRE(fixture.events->Write().ok());
  REQUIRE(fixture.Texts() == Texts{"two"});
  fixture.Reopen();
  fixture.Add("three");
  REQUIRE(fixture.events->Write().ok());
  REQUIRE(fixture.events->List({})->last() == 3);
}

TEST_CASE("those that follow are answered when something happens, and when the log stops",
          "[metaserver][events]") {
  LogFixture fixture;
  fixture.Add("before");
  REQUIRE(fixture.events->Write().ok());
  fixture.events->Start();
  wire::EventList first;
  absl::Notification came;
  fixture.events->Await(0, absl::Minutes(1), [&](wire::EventList list) {
    first = std::move(list);
    came.Notify();
  });
  REQUIRE(came.HasBeenNotified());  // there was one already
  REQUIRE(first.last() == 1);

  wire::EventList next;
  absl::Notification happened;
  fixture.events->Await(first.last(), absl::Minutes(1), [&](wire::EventList list) {
    next = std::move(list);
    happened.Notify();
  });
  REQUIRE(!happened.HasBeenNotified());
  fixture.Add("after");
  happened.WaitForNotificationWithTimeout(absl::Seconds(20));
  REQUIRE(happened.HasBeenNotified());
  REQUIRE(next.events_size() == 1);
  REQUIRE(next.events(0).text() == "after");

  absl::Notification stopped;
  // A number of before a restored backup.
  fixture.events->Await(1000, absl::Minutes(1), [&](wire::EventList list) {
    REQUIRE(list.events_size() == 0);
    stopped.Notify();
  });
  REQUIRE(!stopped.HasBeenNotified());
  fixture.events->Stop();
  REQUIRE(stopped.HasBeenNotified());
}

TEST_CASE("a follower that is far behind gets everything in parts", "[metaserver][events]") {
  LogFixture fixture({.max_answer = 2});
  for (const char* text : {"1", "2", "3"}) fixture.Add(text);
  REQUIRE(fixture.events->Write().ok());
  std::string heard;
  uint64_t after = 0;
  for (int i = 0; i < 2; ++i) {
    fixture.events->Await(after, absl::Minutes(1), [&](wire::EventList list) {
      for (const auto& event : list.events()) heard += event.text();
      after = list.last();
    });
  }
  REQUIRE(heard == "123");
  REQUIRE(after == 3);
}

}  // namespace penstock::metaserver

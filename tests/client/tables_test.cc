// The small tables: holds, fresh lookups, lost names, page drops, inodes.
#include <absl/time/clock.h>

#include <catch2/catch.hpp>
#include <thread>

#include "client/fresh_lookups.h"
#include "client/hold_table.h"
#include "client/inode_table.h"
#include "client/lost_names.h"
#include "client/page_drops.h"
#include "tests/testing/fake_clock.h"

namespace penstock::client {
namespace {

using Inos = std::vector<uint64_t>;
Inos List(const google::protobuf::RepeatedField<uint64_t>& field) {
  return {field.begin(), field.end()};
}

TEST_CASE("a heartbeat reports only what changed since the last acknowledged one",
          "[client][hold_table]") {
  HoldTable holds;
  holds.Hold(InodeNumber(5), false);
  wire::SessionHeartbeatRequest first;
  holds.FillReport(false, &first);
  REQUIRE(List(first.opened()) == Inos{5});
  holds.Failed();
  wire::SessionHeartbeatRequest again;
  holds.FillReport(false, &again);
  REQUIRE(List(again.opened()) == Inos{5});
  holds.Acknowledge();
  wire::SessionHeartbeatRequest quiet;
  holds.FillReport(false, &quiet);
  REQUIRE((quiet.opened().empty() && quiet.released().empty()));
  holds.Acknowledge();
  holds.Release(InodeNumber(5), false);
  wire::SessionHeartbeatRequest released;
  holds.FillReport(false, &released);
  REQUIRE(List(released.released()) == Inos{5});
}

TEST_CASE("the last writer's close is reported while readers stay", "[client][hold_table]") {
  HoldTable holds;
  holds.Hold(InodeNumber(5), true);
  holds.Hold(InodeNumber(5), false);
  wire::SessionHeartbeatRequest report;
  holds.FillReport(false, &report);
  REQUIRE(List(report.opened_write()) == Inos{5});
  holds.Acknowledge();
  holds.Release(InodeNumber(5), true);
  wire::SessionHeartbeatRequest later;
  holds.FillReport(false, &later);
  REQUIRE(List(later.opened()) == Inos{5});
  REQUIRE(List(later.released_write()) == Inos{5});
  holds.Acknowledge();
  wire::SessionHeartbeatRequest whole;
  holds.FillReport(true, &whole);
  REQUIRE(whole.whole());
  REQUIRE(List(whole.opened()) == Inos{5});
}

TEST_CASE("who gives a lease up names what was opened under it and not told of",
          "[client][hold_table]") {
  HoldTable holds;
  holds.Hold(InodeNumber(5), false);
  wire::SessionHeartbeatRequest report;
  holds.FillReport(false, &report);
  holds.Acknowledge();
  holds.Hold(InodeNumber(6), false);
  holds.FillReport(false, &report);  // on its way
  holds.Hold(InodeNumber(7), true);
  holds.Hold(InodeNumber(8), false);
  holds.Release(InodeNumber(8), false);
  wire::EventAck ack;
  holds.FillUntold(&ack);
  REQUIRE(List(ack.opened()) == Inos{6});
  REQUIRE(List(ack.opened_write()) == Inos{7});
  REQUIRE(ack.hold_version() == holds.version());
}

wire::Entry EntryOf(uint64_t ino, uint64_t change = 1, uint64_t version = 1) {
  wire::Entry e;
  e.mutable_attr()->set_ino(ino);
  e.mutable_attr()->set_change(change);
  e.mutable_attr()->set_data_version(version);
  return e;
}

TEST_CASE("a lookup answers one open of the same thread while fresh", "[client][fresh_lookups]") {
  testing::FakeClock clock;
  FreshLookups lookups(absl::Seconds(1), &clock);
  lookups.Remember(7, {InodeNumber(1), "a", EntryOf(5)});
  REQUIRE_FALSE(lookups.Take(8, InodeNumber(5)));
  REQUIRE(lookups.Peek(7, InodeNumber(1), "a"));
  REQUIRE(lookups.Take(7, InodeNumber(5)));
  REQUIRE_FALSE(lookups.Take(7, InodeNumber(5)));
  lookups.Remember(7, {InodeNumber(1), "a", EntryOf(5)});
  clock.Advance(absl::Milliseconds(1001));
  REQUIRE_FALSE(lookups.Take(7, InodeNumber(5)));
}

TEST_CASE("a young lookup says that there is no access list", "[client][fresh_lookups]") {
  testing::FakeClock clock;
  FreshLookups lookups(absl::Seconds(1), &clock);
  wire::Entry listed = EntryOf(6);
  listed.set_has_acl(true);
  lookups.Remember(7, {InodeNumber(1), "a", EntryOf(5), 44});
  lookups.Remember(7, {InodeNumber(1), "b", listed, 45});
  REQUIRE(lookups.WithoutAcl(7, InodeNumber(5)) == 44);
  REQUIRE_FALSE(lookups.WithoutAcl(7, InodeNumber(6)));
  REQUIRE_FALSE(lookups.WithoutAcl(8, InodeNumber(5)));
  clock.Advance(absl::Milliseconds(51));
  REQUIRE_FALSE(lookups.WithoutAcl(7, InodeNumber(5)));
}

TEST_CASE("what a thread looked up last is told, if it was there", "[client][fresh_lookups]") {
  testing::FakeClock clock;
  FreshLookups lookups(absl::Seconds(1), &clock);
  REQUIRE_FALSE(lookups.Last(7));
  lookups.Remember(7, {InodeNumber(1), "a", EntryOf(5)});
  REQUIRE(lookups.Last(7));
  REQUIRE(lookups.Last(7)->name.name == "a");
  REQUIRE(lookups.Last(7)->ino == InodeNumber(5));
  REQUIRE_FALSE(lookups.Last(8));
  lookups.EndCall(8);
  REQUIRE(lookups.Last(7));
  lookups.EndCall(7);
  REQUIRE_FALSE(lookups.Last(7));
  lookups.Remember(7, {InodeNumber(1), "b", std::nullopt});
  REQUIRE_FALSE(lookups.Last(7));
}

TEST_CASE("a call that was sent back is known by what it asks next", "[client][fresh_lookups]") {
  using SentBack = FreshLookups::SentBack;
  testing::FakeClock clock;
  FreshLookups lookups(absl::Seconds(1), &clock);
  auto state = [&](std::string_view name) { return lookups.IsSentBack(7, InodeNumber(1), name); };
  REQUIRE(state("b") == SentBack::kNo);
  lookups.SendBack(7, {InodeNumber(1), "b"});
  REQUIRE(state("b") == SentBack::kHere);
  REQUIRE(state("a") == SentBack::kNo);
  REQUIRE(lookups.IsSentBack(8, InodeNumber(1), "b") == SentBack::kNo);
  lookups.Remember(7, {InodeNumber(1), "b", EntryOf(5)});
  REQUIRE(state("b") == SentBack::kHere);
  lookups.Remember(7, {InodeNumber(1), "a", std::nullopt});
  REQUIRE(state("b") == SentBack::kAnew);
  lookups.Remember(7, {InodeNumber(1), "b", EntryOf(5)});
  clock.Advance(absl::Seconds(10));  // a lookup may wait for another mount
  REQUIRE(state("b") == SentBack::kAnew);
  lookups.EndCall(7);
  REQUIRE(state("b") == SentBack::kNo);
  lookups.SendBack(7, {InodeNumber(1), "b"});
  clock.Advance(absl::Seconds(1));
  REQUIRE(state("b") == SentBack::kNo);
}

TEST_CASE("who lost a name is remembered for seconds", "[client][lost_names]") {
  testing::FakeClock clock;
  LostNames lost(&clock);
  REQUIRE_FALSE(lost.Contains(InodeNumber(5)));
  lost.Add(InodeNumber(5));
  clock.Advance(absl::Seconds(6));
  lost.Add(InodeNumber(5));
  clock.Advance(absl::Seconds(6));
  lost.Add(InodeNumber(6));  // the first time is over, the second is not
  REQUIRE(lost.Contains(InodeNumber(5)));
  clock.Advance(absl::Seconds(5));
  REQUIRE_FALSE(lost.Contains(InodeNumber(5)));
  REQUIRE(lost.Contains(InodeNumber(6)));
}

TEST_CASE("of very many who lost names the oldest are forgotten", "[client][lost_names]") {
  testing::FakeClock clock;
  LostNames lost(&clock);
  for (uint64_t ino = 1; ino <= 10'000; ++ino) {
    clock.Advance(absl::Microseconds(1));
    lost.Add(InodeNumber(ino));
  }
  REQUIRE_FALSE(lost.Contains(InodeNumber(1)));
  REQUIRE_FALSE(lost.Contains(InodeNumber(5000)));
  REQUIRE(lost.Contains(InodeNumber(10'000)));
}

TEST_CASE("pages are dropped when there are some, and until they are gone",
          "[client][page_drops]") {
  PageDrops drops;
  const InodeNumber file(5);
  std::atomic<bool> has_pages{false};
  int done = 0;
  auto count = [&done] { ++done; };
  REQUIRE_FALSE(drops.Begin(file, &has_pages, count));  // none
  REQUIRE(done == 1);
  has_pages = true;
  const auto first = drops.Begin(file, &has_pages, count);
  REQUIRE(first);
  REQUIRE_FALSE(has_pages);
  REQUIRE(done == 1);
  // They are still there: who comes now is not answered before they are gone.
  const auto second = drops.Begin(file, &has_pages, count);
  REQUIRE(second);
  REQUIRE(done == 1);
  drops.Finish(*second);
  REQUIRE(done == 2);
  drops.Finish(*first);
  REQUIRE(done == 3);
  REQUIRE_FALSE(drops.Begin(file, &has_pages, count));
  REQUIRE(done == 4);
}

TEST_CASE("who waits for dropped pages waits until they are gone, or not longer than it says",
          "[client][page_drops]") {
  PageDrops drops;
  std::atomic<bool> has_pages{true};
  drops.Await(absl::InfiniteDuration());  // none
  const auto first = drops.Begin(InodeNumber(5), &has_pages, [] {});
  drops.Await(absl::Milliseconds(10));
  std::atomic<bool> over{false};
  std::thread waiter([&] {
    drops.Await(absl::InfiniteDuration());
    over = true;
  });
  absl::SleepFor(absl::Milliseconds(50));
  REQUIRE_FALSE(over);
  drops.Finish(*first);
  waiter.join();
}

TEST_CASE("a write answers for drops that wait for it, and later ones still drop",
          "[client][page_drops]") {
  PageDrops drops;
  const InodeNumber file(5);
  std::atomic<bool> has_pages{true};
  int done = 0;
  auto count = [&done] { ++done; };
  const auto first = drops.Begin(file, &has_pages, count);
  REQUIRE(first);
  {
    const PageDrops::Write write(&drops, file);
    REQUIRE(done == 1);
  }
  const auto second = drops.Begin(file, &has_pages, count);  // the first is not over
  REQUIRE(second);
  REQUIRE(done == 1);
  drops.Finish(*first);
  REQUIRE(done == 1);
  drops.Finish(*second);
  REQUIRE(done == 2);
}

TEST_CASE("both lookups of a rename are remembered", "[client][fresh_lookups]") {
  testing::FakeClock clock;
  FreshLookups lookups(absl::Seconds(1), &clock);
  lookups.Remember(7, {InodeNumber(1), "from", EntryOf(5)});
  lookups.Remember(7, {InodeNumber(1), "to", std::nullopt});
  REQUIRE(lookups.Peek(7, InodeNumber(1), "from")->entry->attr().ino() == 5);
  REQUIRE_FALSE(lookups.Peek(7, InodeNumber(1), "to")->entry.has_value());
}

TEST_CASE("an older record does not replace a newer one", "[client][inode_table]") {
  InodeTable table(10);
  std::shared_ptr<Inode> inode = table.GetOrMake(InodeNumber(5));
  REQUIRE(table.Absorb(EntryOf(5, 4)).attr().change() == 4);
  REQUIRE(table.Absorb(EntryOf(5, 3)).attr().change() == 4);
  {
    absl::MutexLock lock(&inode->mu);
    inode->accept_any = true;  // a restarted metaserver
  }
  REQUIRE(table.Absorb(EntryOf(5, 3)).attr().change() == 3);
}

TEST_CASE("a pinned inode keeps its content whoever looks it up", "[client][inode_table]") {
  InodeTable table(10);
  std::shared_ptr<Inode> inode = table.GetOrMake(InodeNumber(5));
  wire::Entry small = EntryOf(5, 4);
  small.set_is_inline(true);
  small.set_inline_data("bytes");
  inode->Pin();
  table.Absorb(small);
  inode->Pin();
  inode->Unpin();
  {
    absl::MutexLock lock(&inode->mu);
    REQUIRE(inode->known);
    REQUIRE(inode->entry.inline_data() == "bytes");
  }
  inode->Unpin();
  absl::MutexLock lock(&inode->mu);
  REQUIRE_FALSE(inode->known);
}

TEST_CASE("unused inodes are forgotten beyond the limit, used ones stay", "[client][inode_table]") {
  InodeTable table(4);
  std::shared_ptr<Inode> used = table.GetOrMake(InodeNumber(1));
  for (uint64_t ino = 2; ino < 50; ++ino) table.GetOrMake(InodeNumber(ino));
  REQUIRE(table.size() <= 4);
  REQUIRE(table.Find(InodeNumber(1)) == used);
}

TEST_CASE("own publishes keep the page cache, those of others do not", "[client][inode]") {
  Inode inode(InodeNumber(5));
  absl::MutexLock lock(&inode.mu);
  inode.Absorb(EntryOf(5, 1, 1));
  inode.cached_version = 1;
  inode.AbsorbOwn(EntryOf(5, 2, 2));
  REQUIRE(inode.cached_version == 2);
  inode.AbsorbOwn(EntryOf(5, 4, 4));  // somebody published version 3 in between
  REQUIRE(inode.cached_version == 2);
}

}  // namespace
}  // namespace penstock::client

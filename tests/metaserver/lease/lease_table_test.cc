#include "metaserver/lease/lease_table.h"

#include <catch2/catch.hpp>

#include "tests/testing/fake_clock.h"

namespace penstock::metaserver {
namespace {

using penstock::testing::FakeClock;

constexpr SessionId kA(1), kB(2), kC(3);
constexpr InodeNumber kDir(uint64_t{1} << 40 | 5), kFile(uint64_t{1} << 40 | 9);

Touched ChangeOf(std::string name, InodeNumber ino = kFile) {
  return {{{kDir, std::move(name)}}, {{ino, kDir, false}}};
}

struct Fixture {
  Fixture() {
    table.Enter(kA, 0);
    table.Enter(kB, 0);
    table.Enter(kC, 0);
  }
  bool Name(SessionId session, std::string_view name, uint64_t since) {
    return LeaseTable::Grants(&table, session, since).Name(kDir, name);
  }
  FakeClock clock;
  LeaseTable table{LeaseOptions{}, &clock};
};

TEST_CASE("a change tells every other holder once", "[metaserver][lease]") {
  Fixture f;
  REQUIRE(f.Name(kB, "x", f.table.clock()));
  LeaseChange change;
  auto recalls = f.table.Begin(change, ChangeOf("x"), kA, {});
  REQUIRE(recalls.size() == 1);
  REQUIRE(recalls[0].session == kB);
  REQUIRE(recalls[0].names.size() == 1);
  REQUIRE(recalls[0].records.size() == 1);
  REQUIRE(f.table.Begin(change, ChangeOf("x"), kA, {}).empty());
  f.table.End(change);
  LeaseChange next;
  REQUIRE(f.table.Begin(next, ChangeOf("x"), kA, {}).size() == 1);
  f.table.End(next);
}

TEST_CASE("who has changed the name itself is told again", "[metaserver][lease]") {
  Fixture f;
  REQUIRE(f.Name(kB, "x", f.table.clock()));
  LeaseChange change;
  REQUIRE(f.table.Begin(change, ChangeOf("x"), kA, {}).size() == 1);
  for (const char* name : {"y", "x"}) {
    LeaseChange own;  // overtakes the change that waits
    REQUIRE(f.table.Begin(own, {{{kDir, name}}, {}}, kB, {}).empty());
    f.table.Applied(own, kB);
    f.table.End(own);
    const bool same = std::string_view(name) == "x";
    REQUIRE(f.table.Begin(change, ChangeOf("x"), kA, {}).size() == (same ? 1 : 0));
  }
  f.table.End(change);
}

TEST_CASE("what is being changed is not granted, nor what was changed since the snapshot",
          "[metaserver][lease]") {
  Fixture f;
  const uint64_t before = f.table.clock();
  LeaseChange change;
  REQUIRE(f.table.Begin(change, ChangeOf("x"), kA, {}).empty());
  REQUIRE_FALSE(f.Name(kB, "x", f.table.clock()));
  REQUIRE(f.Name(kB, "y", f.table.clock()));
  f.table.End(change);
  REQUIRE_FALSE(f.Name(kB, "x", before));
  REQUIRE(f.Name(kB, "x", f.table.clock()));
}

TEST_CASE("the one who changes is told only of what it did not declare", "[metaserver][lease]") {
  Fixture f;
  REQUIRE(f.Name(kA, "x", f.table.clock()));
  const uint64_t declared[] = {kFile.value()};
  LeaseChange change;
  REQUIRE(f.table.Begin(change, ChangeOf("x"), kA, declared).empty());
  f.table.End(change);
  LeaseChange other;
  auto recalls = f.table.Begin(other, ChangeOf("x"), kA, {});
  REQUIRE(recalls.size() == 1);
  REQUIRE(recalls[0].names.empty());  // the request speaks of the name itself
  f.table.End(other);
}

TEST_CASE("nobody is told of a record that is new", "[metaserver][lease]") {
  Fixture f;
  REQUIRE(f.Name(kB, "x", f.table.clock()));
  LeaseChange change;
  REQUIRE(f.table.Begin(change, {{}, {{kFile, InodeNumber(), false}}}, kA, {}).empty());
  f.table.End(change);
}

TEST_CASE("a voided session holds nothing and has another generation", "[metaserver][lease]") {
  Fixture f;
  REQUIRE(f.Name(kB, "x", f.table.clock()));
  const uint64_t before = f.table.generation(kB);
  REQUIRE(f.table.leases(kB) == 1);
  REQUIRE(f.table.Void(kB) != before);
  REQUIRE(f.table.leases(kB) == 0);
  LeaseChange change;
  REQUIRE(f.table.Begin(change, ChangeOf("x"), kA, {}).empty());
  f.table.End(change);
}

TEST_CASE("a session above its bound has its least used leases taken", "[metaserver][lease]") {
  FakeClock clock;
  LeaseTable table({.max_leases_per_session = 100}, &clock);
  table.Enter(kA, 0);
  for (uint64_t i = 1; i <= 101; ++i) {
    LeaseChange change;  // time goes on
    (void)table.Begin(change, ChangeOf("t" + std::to_string(i)), kB, {});
    table.End(change);
    REQUIRE(LeaseTable::Grants(&table, kA, table.clock()).Record(InodeNumber(i), InodeNumber(i)));
  }
  const std::vector<uint64_t> taken = table.TakeSurplus(kA);
  REQUIRE(taken.size() == 13);
  REQUIRE(*std::max_element(taken.begin(), taken.end()) == 13);
  table.Release(kA, absl::MakeConstSpan(taken));
  REQUIRE(table.leases(kA) == 88);
}

TEST_CASE("a directory that several sessions change grants no lease for a second",
          "[metaserver][lease]") {
  Fixture f;
  REQUIRE(f.Name(kC, "z", f.table.clock()));
  REQUIRE(f.Name(kA, "z", f.table.clock()));
  auto change = [&](SessionId self, const char* name) {
    LeaseChange made;
    auto recalls = f.table.Begin(made, {{{kDir, name}}, {}}, self, {});
    REQUIRE(f.table.Begin(made, {{{kDir, name}}, {}}, self, {}).empty());  // told once
    for (const Recall& recall : recalls) {
      for (InodeNumber lease : recall.leases) f.table.Release(recall.session, {lease.value()});
    }
    f.table.End(made);
    return recalls;
  };
  SECTION("by one after the other") {
    LeaseChange first;
    REQUIRE(f.table.Begin(first, {{{kDir, "x"}}, {}}, kA, {}).size() == 1);  // kC, of the name
    f.table.End(first);
    f.clock.Advance(absl::Milliseconds(999));
    const auto recalls = change(kB, "y");
    REQUIRE(recalls.size() == 2);  // kA and kC give up the lease
    for (const Recall& recall : recalls) {
      REQUIRE(recall.leases == std::vector<InodeNumber>{kDir});
      REQUIRE(recall.names.size() == 1);
    }
    REQUIRE_FALSE(f.Name(kC, "z", f.table.clock()));
    REQUIRE_FALSE(LeaseTable::Grants(&f.table, kC, f.table.clock()).Record(kFile, kDir));
    REQUIRE(f.table.leases(kC) == 0);
    REQUIRE(change(kA, "more").empty());  // nobody has anything to drop
    REQUIRE(LeaseTable::Grants(&f.table, kC, f.table.clock()).Record(kFile, kFile));
    f.clock.Advance(absl::Milliseconds(999));
    REQUIRE_FALSE(f.Name(kC, "z", f.table.clock()));
    f.clock.Advance(absl::Milliseconds(1));
    REQUIRE(f.Name(kC, "z", f.table.clock()));
  }
  SECTION("not by one alone, or with time between") {
    for (int i = 0; i < 3; ++i) (void)change(kA, "x");
    f.clock.Advance(absl::Seconds(1));
    REQUIRE(f.Name(kC, "z", f.table.clock()));
    const auto recalls = change(kB, "x");
    REQUIRE(recalls.size() == 2);
    for (const Recall& recall : recalls) REQUIRE(recall.leases.empty());
  }
  SECTION("nor by the metaserver itself") {
    (void)change(kA, "x");
    LeaseChange own;
    const auto recalls = f.table.Begin(own, {{{kDir, "x"}}, {}}, SessionId(), {});
    for (const Recall& recall : recalls) REQUIRE(recall.leases.empty());
    f.table.End(own);
  }
}

TEST_CASE("the directories that are watched for it are bounded", "[metaserver][lease]") {
  ContestedDirectories contested(absl::Seconds(1));
  for (uint64_t i = 1; i <= 3 * ContestedDirectories::kMost; ++i) {
    REQUIRE_FALSE(contested.NoteChange(InodeNumber(i), kA, absl::ZeroDuration()));
    REQUIRE(contested.size() <= ContestedDirectories::kMost);
  }
  REQUIRE(contested.NoteChange(InodeNumber(3 * ContestedDirectories::kMost), kB,
                               absl::Milliseconds(1)));
  contested.SetWindow(absl::ZeroDuration());  // as it is set while the server runs
  REQUIRE_FALSE(
      contested.IsContested(InodeNumber(3 * ContestedDirectories::kMost), absl::Milliseconds(2)));
  ContestedDirectories never(absl::ZeroDuration());
  REQUIRE_FALSE(never.NoteChange(kDir, kA, absl::ZeroDuration()));
  REQUIRE_FALSE(never.NoteChange(kDir, kB, absl::ZeroDuration()));
}

}  // namespace
}  // namespace penstock::metaserver

#include "metaserver/lease/lease_table.h"

#include <catch2/catch.hpp>

namespace penstock::metaserver {
namespace {

constexpr SessionId kA(1), kB(2);
constexpr InodeNumber kDir(uint64_t{1} << 40 | 5), kFile(uint64_t{1} << 40 | 9);

Touched ChangeOf(std::string name, InodeNumber ino = kFile) {
  return {{{kDir, std::move(name)}}, {{ino, kDir, false}}};
}

struct Fixture {
  Fixture() {
    table.Enter(kA, 0);
    table.Enter(kB, 0);
  }
  bool Name(SessionId session, std::string_view name, uint64_t since) {
    return LeaseTable::Grants(&table, session, since).Name(kDir, name);
  }
  LeaseTable table{LeaseOptions{}};
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
  LeaseTable table({.max_leases_per_session = 100});
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

}  // namespace
}  // namespace penstock::metaserver

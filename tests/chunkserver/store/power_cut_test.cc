// Chosen power cuts: the record arrives without its bytes, or the bytes without their record.
#include <catch2/catch.hpp>

#include "tests/chunkserver/store/store_audit.h"
#include "tests/chunkserver/store/store_fixture.h"

namespace penstock::chunkserver {
namespace {

using Arrives = StoreFixture::Arrives;

struct Case {
  const char* name;
  ChangeKind kind;
  uint32_t offset;
  uint32_t length;  // of data, or for kZero
};

std::vector<Case> Cases() {
  return {{"append in place", ChangeKind::kWrite, 40'000, 5'000},
          {"append to a new slot", ChangeKind::kWrite, 40'000, 90'000},
          {"append after a gap", ChangeKind::kWrite, 40'500, 100},
          {"small overwrite", ChangeKind::kWrite, 1'000, 3'000},
          {"overwrite that also appends", ChangeKind::kWrite, 39'000, 1'500},
          {"whole overwrite", ChangeKind::kWrite, 0, 40'000},
          {"replacement", ChangeKind::kReplace, 0, 100},
          {"truncation within the slot", ChangeKind::kTruncate, 30'001, 0},
          {"truncation to a smaller slot", ChangeKind::kTruncate, 5'001, 0},
          {"lengthening", ChangeKind::kTruncate, 80'000, 0},
          {"zeroing", ChangeKind::kZero, 5'000, 10'000},
          {"deletion", ChangeKind::kDelete, 0, 0}};
}

}  // namespace

TEST_CASE("an unsynced change that a power cut hits halfway is there or not, never half",
          "[chunkserver][store][crash]") {
  std::mt19937_64 random(TestSeed("power cut halfway"));
  const std::string base = RandomBytes(random, 40'000);
  for (const Case& c : Cases()) {
    const std::string data = c.kind == ChangeKind::kZero ? "" : RandomBytes(random, c.length);
    std::string changed_to;
    // What it is when all arrives.
    for (const Arrives& arrives : {Arrives{100, 100}, Arrives{0, 100}, Arrives{50, 100},
                                   Arrives{100, 0}, Arrives{100, 60}, Arrives{0, 0}}) {
      CAPTURE(c.name, arrives.slabs_percent.value(), arrives.index_percent.value());
      StoreFixture f;
      REQUIRE(f.Write(f.Key(1), 0, base).ok());
      REQUIRE(f.store->Barrier().ok());
      const ChunkVersion before = f.store->Stat(f.Key(1)).value().committed;
      REQUIRE(f.StageAndCommit(f.Key(1), f.Change(c.kind, c.offset, data, c.length)).ok());
      const ChunkVersion after = f.store->Stat(f.Key(1)).value().committed;
      if (after.valid()) changed_to = f.ReadAll(f.Key(1)).value();
      f.PowerCut(random, arrives);
      f.Open();
      const ChunkVersion found = f.store->Stat(f.Key(1)).value().committed;
      REQUIRE((found == before || found == after));
      if (arrives.slabs_percent == 100 && arrives.index_percent == 100) REQUIRE(found == after);
      if (arrives.index_percent == 0) REQUIRE(found == before);
      if (found.valid()) {
        REQUIRE((f.ReadAll(f.Key(1)).value() == (found == before ? base : changed_to)));
      }
      // And it takes the next change.
      REQUIRE(f.Write(f.Key(1), 0, "next").ok());
      REQUIRE(f.ReadRange(f.Key(1), 0, 4).value() == "next");
      f.store.reset();
      AuditClosedTarget(f);
    }
  }
}

TEST_CASE(
    "a pending append that a barrier made durable survives its discard, another append and a "
    "power cut",
    "[chunkserver][store][crash]") {
  std::mt19937_64 random(1);
  StoreFixture f;
  REQUIRE(f.Write(f.Key(1), 0, "base").ok());
  const ChunkVersion version = f.NextVersion();
  REQUIRE(f.store->Stage(f.Key(1), version, f.Change(ChangeKind::kWrite, 4, " first")).ok());
  REQUIRE(f.store->Barrier().ok());
  REQUIRE(f.store->Discard(f.Key(1), version).ok());
  REQUIRE(f.Write(f.Key(1), 4, " other").ok());
  // The bytes arrive, the index's log does not: the durable record must still fit the slot.
  f.PowerCut(random, {100, 0});
  f.Open();
  REQUIRE(f.store->Stat(f.Key(1)).value().pending == version);
  REQUIRE(f.store->ReadPending(f.Key(1)).value() == "base first");
  REQUIRE(f.ReadAll(f.Key(1)).value() == "base");
}

TEST_CASE("a slot that was freed is not written again before the barrier",
          "[chunkserver][store][crash]") {
  std::mt19937_64 random(TestSeed("freed slots"));
  StoreFixture f;
  const std::string base = RandomBytes(random, 60'000);
  for (uint32_t i = 0; i < 10; ++i) REQUIRE(f.Write(f.Key(i), 0, base).ok());
  REQUIRE(f.store->Barrier().ok());
  for (uint32_t i = 0; i < 10; ++i) {
    REQUIRE(f.StageAndCommit(f.Key(i), f.Change(ChangeKind::kDelete, 0, "")).ok());
  }
  for (uint32_t i = 100; i < 130; ++i) {
    REQUIRE(f.Write(f.Key(i), 0, RandomBytes(random, 60'000)).ok());
  }
  f.PowerCut(random, {100, 0});
  f.Open();
  for (uint32_t i = 0; i < 10; ++i) REQUIRE((f.ReadAll(f.Key(i)).value() == base));
}

TEST_CASE("a start looks only at what changed since the last barrier", "[chunkserver][store]") {
  std::mt19937_64 random(1);
  StoreFixture f;
  for (uint32_t i = 0; i < 50; ++i) REQUIRE(f.Write(f.Key(i), 0, std::string(5000, 'x')).ok());
  REQUIRE(f.store->Barrier().ok());
  REQUIRE(f.Write(f.Key(7), 5000, "since").ok());
  // Rot in what was synced is not a start's business: a reader finds it, and no older version
  // takes its place.
  f.fs.FlipBit(f.options.dir + "/slabs/00000000.slab", 100);
  f.PowerCut(random, {100, 100});
  f.Open();
  REQUIRE(f.store->checksum_errors() == 0);
  REQUIRE(f.ReadAll(f.Key(7)).value() == std::string(5000, 'x') + "since");
}

}  // namespace penstock::chunkserver

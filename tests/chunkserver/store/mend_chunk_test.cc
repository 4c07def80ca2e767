#include <catch2/catch.hpp>
#include <cerrno>

#include "tests/chunkserver/store/store_audit.h"
#include "tests/chunkserver/store/store_fixture.h"

namespace penstock::chunkserver {
namespace {

ChunkContent Content(ChunkVersion version, std::string_view data) {
  return {version, absl::MakeConstSpan(data.data(), data.size()), Crc32c(data), {}};
}

std::string Slab(StoreFixture& f) {
  for (const std::string& path : f.fs.Files()) {
    if (path.ends_with(".slab")) return path;
  }
  FAIL("there is no slab");
  return "";
}

std::vector<ChunkKey> Damaged(StoreFixture& f) {
  std::vector<ChunkKey> keys;
  REQUIRE(f.store
              ->VisitDamaged(std::nullopt,
                             [&](const ChunkKey& key) {
                               keys.push_back(key);
                               return true;
                             })
              .ok());
  REQUIRE(keys.size() == f.store->damaged_chunks());
  return keys;
}

}  // namespace

TEST_CASE("a damaged chunk is listed until the same bytes are put in its place",
          "[chunkserver][store][mend]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  const std::string data(20'000, 'x');
  REQUIRE(f.Write(key, 0, data).ok());
  const ChunkVersion version = f.store->Stat(key).value().committed;
  f.fs.FlipBit(Slab(f), 9000);
  REQUIRE(Damaged(f).empty());
  REQUIRE(absl::IsDataLoss(f.ReadAll(key).status()));
  REQUIRE(Damaged(f) == std::vector{key});
  REQUIRE(absl::IsDataLoss(f.store->Recheck(key)));
  f.Reopen();
  REQUIRE(Damaged(f) == std::vector{key});
  REQUIRE(absl::IsDataLoss(f.store->Mend(key, {version, data, 1, {}})));  // turned on its way
  REQUIRE(absl::IsFailedPrecondition(f.store->Mend(key, Content({1, 999}, data))));
  REQUIRE(absl::IsFailedPrecondition(f.store->Mend(f.Key(2), Content(version, data))));
  REQUIRE(f.store->Mend(key, Content(version, data)).ok());
  REQUIRE(Damaged(f).empty());
  REQUIRE(f.ReadAll(key).value() == data);
  REQUIRE(f.store->Stat(key).value().committed == version);
  REQUIRE(f.store->Barrier().ok());
  f.store.reset();
  AuditClosedTarget(f);
}

TEST_CASE("mending keeps the writes that are known, and one that is pending",
          "[chunkserver][store][mend]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  ChunkChange change = f.Change(ChangeKind::kWrite, 0, "data");
  change.stamp = WriteStamp{SessionId(5), 1, 9};
  REQUIRE(f.StageAndCommit(key, change).ok());
  const ChunkVersion version = f.store->Stat(key).value().committed;
  f.fs.FlipBit(Slab(f), 1);
  REQUIRE(!f.ReadAll(key).ok());
  const ChunkVersion next = f.NextVersion();
  REQUIRE(f.store->Stage(key, next, f.Change(ChangeKind::kReplace, 0, "whole")).ok());
  REQUIRE(f.store->Mend(key, Content(version, "data")).ok());
  REQUIRE(f.ReadAll(key).value() == "data");
  REQUIRE(f.store->ReadPending(key).value() == "whole");
  REQUIRE(f.store->Discard(key, next).ok());
  REQUIRE(f.store->Stat(key).value().channels.size() == 1);
  REQUIRE(f.store->Stat(key).value().channels[0].stamp == change.stamp);
  REQUIRE(f.ReadAll(key).value() == "data");
}

TEST_CASE("what is pending behind damaged bytes comes along when they are mended",
          "[chunkserver][store][mend]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  const std::string data(13'000, 'd');
  REQUIRE(f.Write(key, 0, data).ok());
  const ChunkVersion version = f.store->Stat(key).value().committed;
  const ChunkVersion next = f.NextVersion();
  std::string wanted = data;
  SECTION("an append, in the last block of the old bytes") {
    REQUIRE(f.store->Stage(key, next, f.Change(ChangeKind::kWrite, 13'000, "more")).ok());
    wanted += "more";
  }
  SECTION("an append behind a gap") {
    REQUIRE(f.store->Stage(key, next, f.Change(ChangeKind::kWrite, 13'100, "more")).ok());
    wanted += std::string(100, '\0') + "more";
  }
  SECTION("a small overwrite, which waits in the index") {
    REQUIRE(f.store->Stage(key, next, f.Change(ChangeKind::kWrite, 9000, "over")).ok());
    wanted.replace(9000, 4, "over");
  }
  SECTION("a truncation") {
    REQUIRE(f.store->Stage(key, next, f.Change(ChangeKind::kTruncate, 12'500, "")).ok());
    wanted.resize(12'500);
  }
  f.fs.FlipBit(Slab(f), 1000);
  REQUIRE(absl::IsDataLoss(f.ReadAll(key).status()));
  REQUIRE(f.store->Mend(key, Content(version, data)).ok());
  REQUIRE(Damaged(f).empty());
  REQUIRE(f.ReadAll(key).value() == data);
  REQUIRE(f.store->ReadPending(key).value() == wanted);
  REQUIRE(f.store->Commit(key, next).ok());
  REQUIRE(f.ReadAll(key).value() == wanted);
  REQUIRE(f.store->Barrier().ok());
  f.Reopen();
  REQUIRE(f.ReadAll(key).value() == wanted);
  f.store.reset();
  AuditClosedTarget(f);
}

TEST_CASE("a full disk's copies are mended in the reserve", "[chunkserver][store][mend]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  REQUIRE(f.Write(key, 0, "data").ok());
  const ChunkVersion version = f.store->Stat(key).value().committed;
  f.fs.FlipBit(Slab(f), 1);
  REQUIRE(!f.ReadAll(key).ok());
  f.store->SetReserve(uint64_t{1} << 60);
  REQUIRE(ErrnoOf(f.Write(f.Key(2), 0, "more")) == ENOSPC);
  REQUIRE(f.store->Mend(key, Content(version, "data")).ok());
  REQUIRE(f.ReadAll(key).value() == "data");
}

TEST_CASE("what the disk cannot read is damaged, and is in service again when it can",
          "[chunkserver][store][mend]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  REQUIRE(f.Write(key, 0, std::string(10'000, 'x')).ok());
  f.fs.BreakSector(Slab(f), 5000);
  REQUIRE(absl::IsDataLoss(f.ReadAll(key).status()));
  REQUIRE(f.store->io_errors() > 0);
  REQUIRE(f.store->checksum_errors() == 0);
  REQUIRE(Damaged(f) == std::vector{key});
  REQUIRE(!f.store->Recheck(key).ok());
  const ChunkVersion version = f.store->Stat(key).value().committed;
  REQUIRE(f.store->Mend(key, Content(version, std::string(10'000, 'x'))).ok());
  REQUIRE(f.ReadAll(key).value() == std::string(10'000, 'x'));

  f.fs.set_fail_reads(true);  // a cable
  REQUIRE(!f.ReadAll(key).ok());
  REQUIRE(Damaged(f) == std::vector{key});
  f.fs.set_fail_reads(false);
  REQUIRE(absl::IsDataLoss(f.ReadAll(key).status()));  // until somebody has looked
  REQUIRE(f.store->Recheck(key).ok());
  REQUIRE(f.ReadAll(key).ok());
  REQUIRE(Damaged(f).empty());
}

TEST_CASE("a chunk that is written anew or deleted is damaged no more",
          "[chunkserver][store][mend]") {
  StoreFixture f;
  for (uint32_t i : {1, 2, 3}) REQUIRE(f.Write(f.Key(i), 0, "data").ok());
  REQUIRE(f.store->Barrier().ok());
  for (uint64_t slot : {0, 1, 2}) f.fs.FlipBit(Slab(f), slot * 4096);
  for (uint32_t i : {1, 2, 3}) REQUIRE(!f.ReadAll(f.Key(i)).ok());
  REQUIRE(Damaged(f).size() == 3);
  REQUIRE(f.Write(f.Key(1), 0, "new data").ok());
  REQUIRE(f.StageAndCommit(f.Key(2), f.Change(ChangeKind::kDelete, 0, "")).ok());
  REQUIRE(Damaged(f) == std::vector{f.Key(3)});
  REQUIRE(absl::IsDataLoss(f.Write(f.Key(3), 1, "x")));
}

TEST_CASE("the list of damaged chunks is right after power cuts", "[chunkserver][store][mend]") {
  std::mt19937_64 random(TestSeed("damaged after power cuts"));
  const int rounds = TestRounds(20);
  for (int round = 0; round < rounds; ++round) {
    StoreFixture f;
    const std::string data(4000, 'd');
    for (uint32_t i = 0; i < 8; ++i) REQUIRE(f.Write(f.Key(i), 0, data).ok());
    REQUIRE(f.store->Barrier().ok());
    for (uint64_t slot = 0; slot < 8; ++slot) {
      if (random() % 2 == 0) f.fs.FlipBit(Slab(f), slot * 4096 + random() % 4000);
    }
    for (uint32_t i = 0; i < 8; ++i) f.store->Verify(f.Key(i)).IgnoreError();
    if (random() % 2 == 0) REQUIRE(f.store->Barrier().ok());
    for (uint32_t i = 0; i < 8; ++i) {
      const ChunkInfo info = f.store->Stat(f.Key(i)).value();
      if (info.quarantined && random() % 2 == 0) {
        REQUIRE(f.store->Mend(f.Key(i), Content(info.committed, data)).ok());
      }
    }
    f.PowerCut(random);
    f.Open();
    std::vector<ChunkKey> listed = Damaged(f);
    for (uint32_t i = 0; i < 8; ++i) {
      const bool is_listed = std::count(listed.begin(), listed.end(), f.Key(i)) > 0;
      REQUIRE(f.store->Stat(f.Key(i)).value().quarantined == is_listed);
    }
  }
}

TEST_CASE("a failed sync is told by the store's health", "[chunkserver][store][mend]") {
  StoreFixture f;
  REQUIRE(f.store->Health().ok());
  REQUIRE(f.Write(f.Key(1), 0, "data").ok());
  f.fs.set_fail_syncs(true);
  REQUIRE(!f.store->Barrier().ok());
  REQUIRE(!f.store->Health().ok());
  REQUIRE(f.ReadAll(f.Key(1)).value() == "data");
}

}  // namespace penstock::chunkserver

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "chunkserver/store/index_keys.h"
#include "chunkserver/store/rebuild_index.h"
#include "tests/chunkserver/store/store_audit.h"
#include "tests/chunkserver/store/store_fixture.h"

namespace penstock::chunkserver {
namespace {

// Changes records behind the closed store's back.
template <typename Change>
void Tamper(StoreFixture& f, Change change) {
  f.store.reset();
  auto index = ChunkIndex::Open(f.options.dir + "/index", 1 << 20, f.env.get());
  REQUIRE(index.ok());
  IndexBatch batch;
  change(**index, batch);
  REQUIRE((*index)->Write(batch, ChunkIndex::Sync::kYes).ok());
  index->reset();
  f.Open();
}

// Anywhere but in the last bytes of a file, where a few only fill the space.
void FlipTableBit(StoreFixture& f, std::mt19937_64& random) {
  std::vector<std::filesystem::path> tables;
  for (const auto& entry : std::filesystem::directory_iterator(f.options.dir + "/index")) {
    if (entry.path().extension() == ".sst") tables.push_back(entry.path());
  }
  REQUIRE(!tables.empty());
  std::sort(tables.begin(), tables.end());
  const auto& path = tables[random() % tables.size()];
  const uint64_t at = random() % (std::filesystem::file_size(path) - 64);
  INFO(path << " at " << at);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const int byte = file.get();
  file.seekp(static_cast<std::streamoff>(at));
  file.put(static_cast<char>(byte ^ (1 << random() % 8)));
  REQUIRE(file.good());
}

}  // namespace

TEST_CASE("a sound index is found sound, whatever was done to the chunks",
          "[chunkserver][store][index]") {
  std::mt19937_64 random(TestSeed("sound index"));
  StoreFixture f;
  const int rounds = TestRounds(300);
  for (int i = 0; i < rounds; ++i) {
    const ChunkKey key = f.Key(static_cast<uint32_t>(random() % 12));
    const std::string data = RandomBytes(random, 1 + random() % 60'000);
    const auto offset = static_cast<uint32_t>(random() % 30'000);
    switch (random() % 6) {
      case 0:
        f.StageAndCommit(key, f.Change(ChangeKind::kDelete, 0, "")).IgnoreError();
        break;
      case 1:
        f.StageAndCommit(key, f.Change(ChangeKind::kTruncate, offset, "")).IgnoreError();
        break;
      case 2:
        REQUIRE(f.store->Barrier().ok());
        break;
      case 3: {
        const ChunkVersion version = f.NextVersion();
        REQUIRE(f.store->Stage(key, version, f.Change(ChangeKind::kWrite, offset, data)).ok());
        const IndexReport report = f.store->CheckIndex().value();
        INFO((report.damage.empty() ? "" : report.damage[0]));
        REQUIRE(report.damage.empty());
        REQUIRE(f.store->Discard(key, version).ok());
        break;
      }
      default:
        REQUIRE(f.Write(key, offset, data).ok());
    }
    if (i % 10 == 0) {
      const IndexReport report = f.store->CheckIndex().value();
      INFO((report.damage.empty() ? "" : report.damage[0]));
      REQUIRE(report.damage.empty());
      REQUIRE(report.leaked_slots == 0);
      REQUIRE(report.records == f.store->Space().value().chunks);
    }
    if (i % 70 == 69) f.Reopen();
  }
  REQUIRE(f.store->Health().ok());
}

TEST_CASE("an index that contradicts itself is found out", "[chunkserver][store][index]") {
  StoreFixture f;
  for (uint32_t i = 0; i < 4; ++i) REQUIRE(f.Write(f.Key(i), 0, std::string(9000, 'x')).ok());
  REQUIRE(f.store->Barrier().ok());
  const auto record = [&](ChunkIndex& index, uint32_t i) { return index.Get(f.Key(i)).value(); };
  SECTION("two chunks in one slot") {
    Tamper(f, [&](ChunkIndex& index, IndexBatch& batch) {
      ChunkRecord other = *record(index, 1);
      other.image.slot = record(index, 0)->image.slot;
      batch.PutRecord(f.Key(1), other);
    });
    REQUIRE(f.store->CheckIndex().value().damage_count > 0);
    REQUIRE(absl::IsDataLoss(f.store->Health()));
  }
  SECTION("a slot that is marked as free") {
    Tamper(f, [&](ChunkIndex& index, IndexBatch& batch) {
      const Slot slot = record(index, 2)->image.slot;
      SlabBitmap bitmap = index.GetSlab(slot.slab).value();
      bitmap.Clear(slot.index);
      batch.PutSlab(slot.slab, bitmap);
    });
    REQUIRE(f.store->CheckIndex().value().damage_count == 1);
    REQUIRE(absl::IsDataLoss(f.store->Health()));
  }
  SECTION("a slot that nobody uses costs only its space") {
    Tamper(f, [&](ChunkIndex& index, IndexBatch& batch) {
      const Slot slot = record(index, 2)->image.slot;
      SlabBitmap bitmap = index.GetSlab(slot.slab).value();
      bitmap.Set(slot.index + 5);
      batch.PutSlab(slot.slab, bitmap);
    });
    const IndexReport report = f.store->CheckIndex().value();
    REQUIRE(report.damage_count == 0);
    REQUIRE(report.leaked_slots == 1);
    REQUIRE(f.store->Health().ok());
  }
  SECTION("what a newer program has written is no damage") {
    Tamper(f, [&](ChunkIndex&, IndexBatch& batch) {
      ChunkRecord newer;
      newer.version = {1, 1};
      newer.image.encoding = 77;
      batch.PutRecord(f.Key(50), newer);
    });
    const auto report = f.store->CheckIndex();
    INFO(report.status());
    REQUIRE(absl::IsFailedPrecondition(report.status()));
    REQUIRE(f.store->Health().ok());
    f.store.reset();
    REQUIRE(absl::IsFailedPrecondition(
        RebuildIndex(f.options.dir, f.options.slab_bytes, &f.fs, f.env.get()).status()));
    f.options.check_index = true;
    REQUIRE(absl::IsFailedPrecondition(f.TryOpen()));
  }
  SECTION("a slot outside its slab") {
    Tamper(f, [&](ChunkIndex& index, IndexBatch& batch) {
      ChunkRecord other = *record(index, 1);
      other.image.slot.index = 100'000;
      batch.PutRecord(f.Key(1), other);
    });
    REQUIRE(f.store->CheckIndex().value().damage_count > 0);
  }
}

TEST_CASE("a store whose index takes no barrier says so, and does not end the server",
          "[chunkserver][store][index]") {
  StoreFixture f;
  for (uint32_t i = 0; i < 4; ++i) REQUIRE(f.Write(f.Key(i), 0, std::string(9000, 'x')).ok());
  REQUIRE(f.store->Barrier().ok());
  Tamper(f, [&](ChunkIndex& index, IndexBatch& batch) {
    ChunkRecord other = *index.Get(f.Key(1)).value();
    other.image.slot.bytes = 64 * kKiB;  // of another size than its slab's
    batch.PutRecord(f.Key(1), other);
  });
  REQUIRE(f.StageAndCommit(f.Key(1), f.Change(ChangeKind::kDelete, 0, "")).ok());
  REQUIRE(!f.store->Barrier().ok());
  REQUIRE(!f.store->Health().ok());
  REQUIRE(!f.Write(f.Key(2), 0, "more").ok());
  REQUIRE(f.ReadAll(f.Key(2)).value() == std::string(9000, 'x'));
}

TEST_CASE("an index that the disk cannot read is a damaged one, and is made anew",
          "[chunkserver][store][index]") {
  StoreFixture f;
  for (uint32_t i = 0; i < 200; ++i) REQUIRE(f.Write(f.Key(i), 0, std::string(500, 'x')).ok());
  REQUIRE(f.store->CheckIndex().value().damage.empty());  // writes the table files
  f.Reopen();
  f.index_fs->set_fail_table_reads(true);
  REQUIRE(absl::IsDataLoss(f.store->CheckIndex().status()));
  REQUIRE(absl::IsDataLoss(f.store->Health()));
  f.index_fs->set_fail_table_reads(false);
  REQUIRE(absl::IsDataLoss(f.store->Health()));  // until it was opened again
  int lost = 0;
  f.options.before_loss = [&] {
    ++lost;
    return absl::OkStatus();
  };
  f.options.check_index = true;
  f.index_fs->set_fail_table_reads(true);
  f.store.reset();
  const absl::Status opened = f.TryOpen();
  INFO(opened);
  REQUIRE(lost == 1);  // it was taken for damaged
}

TEST_CASE("a flipped bit anywhere in the index's table files is found",
          "[chunkserver][store][index]") {
  std::mt19937_64 random(TestSeed("flips in the index"));
  const int rounds = TestRounds(12);
  for (int round = 0; round < rounds; ++round) {
    StoreFixture f;
    for (uint32_t i = 0; i < 200; ++i) REQUIRE(f.Write(f.Key(i), 0, std::string(5000, 'x')).ok());
    REQUIRE(f.store->Barrier().ok());
    REQUIRE(f.store->CheckIndex().value().damage.empty());  // writes the table files
    f.store.reset();
    FlipTableBit(f, random);
    const absl::Status opened = f.TryOpen();
    INFO(opened);
    REQUIRE(opened.ok());
    if (f.store->lost_changes()) continue;  // found by opening it
    const auto report = f.store->CheckIndex();
    REQUIRE(absl::IsDataLoss(report.status()));
    REQUIRE(absl::IsDataLoss(f.store->Health()));
  }
}

}  // namespace penstock::chunkserver

#include <catch2/catch.hpp>

#include "common/placement.h"
#include "tests/chunkserver/store/store_audit.h"
#include "tests/chunkserver/store/store_fixture.h"

namespace penstock::chunkserver {
namespace {

constexpr uint32_t kBlock = 4096;

std::string Pattern(size_t length, char first = 'a') {
  std::string bytes(length, '\0');
  for (size_t i = 0; i < length; ++i) bytes[i] = static_cast<char>(first + i % 23);
  return bytes;
}

}  // namespace

TEST_CASE("a chunk that was never written is absent", "[chunkserver][store]") {
  StoreFixture f;
  REQUIRE_FALSE(f.store->Stat(f.Key(1)).value().exists());
  REQUIRE(absl::IsNotFound(f.ReadAll(f.Key(1)).status()));
}

TEST_CASE("a staged write is readable after its commit, not before", "[chunkserver][store]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  const ChunkVersion version = f.NextVersion();
  REQUIRE(f.store->Stage(key, version, f.Change(ChangeKind::kWrite, 0, "hello")).ok());
  REQUIRE(absl::IsNotFound(f.ReadAll(key).status()));
  REQUIRE(f.store->ReadPending(key).value() == "hello");
  REQUIRE(f.store->Stat(key).value().pending == version);
  REQUIRE(f.store->Commit(key, version).ok());
  REQUIRE(f.store->Commit(key, version).ok());  // a repeat
  REQUIRE(f.ReadAll(key).value() == "hello");
  REQUIRE(f.store->Stat(key).value().committed == version);
}

TEST_CASE("one version can be pending; its own repeat is fine, another is refused",
          "[chunkserver][store]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  const ChunkVersion first = f.NextVersion(), second = f.NextVersion();
  REQUIRE(f.store->Stage(key, first, f.Change(ChangeKind::kWrite, 0, "a")).ok());
  REQUIRE(f.store->Stage(key, first, f.Change(ChangeKind::kWrite, 0, "a")).ok());
  REQUIRE(absl::IsFailedPrecondition(
      f.store->Stage(key, second, f.Change(ChangeKind::kWrite, 0, "b"))));
  REQUIRE(absl::IsNotFound(f.store->Commit(key, second)));
  REQUIRE(f.store->Commit(key, first).ok());
  REQUIRE(absl::IsFailedPrecondition(
      f.store->Stage(key, first, f.Change(ChangeKind::kWrite, 0, "old version"))));
}

TEST_CASE("a discarded append leaves the committed bytes and can be followed by another",
          "[chunkserver][store]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  const std::string base = Pattern(kBlock + 100);  // the last block is partly filled
  REQUIRE(f.Write(key, 0, base).ok());
  const ChunkVersion version = f.NextVersion();
  REQUIRE(f.store->Stage(key, version, f.Change(ChangeKind::kWrite, base.size(), "lost")).ok());
  REQUIRE(f.ReadAll(key).value() == base);
  REQUIRE(f.store->Verify(key).ok());
  REQUIRE(f.store->Discard(key, version).ok());
  REQUIRE(f.store->Discard(key, version).ok());
  REQUIRE(f.ReadAll(key).value() == base);
  REQUIRE(f.Write(key, base.size(), "kept").ok());
  REQUIRE(f.ReadAll(key).value() == base + "kept");
}

TEST_CASE("an append within a block leaves the committed version readable while it is pending",
          "[chunkserver][store]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  std::string content;
  for (int i = 0; i < 40; ++i) {
    const std::string piece = Pattern(1 + 37 * i, static_cast<char>('A' + i));
    const ChunkVersion version = f.NextVersion();
    REQUIRE(f.store->Stage(key, version, f.Change(ChangeKind::kWrite, content.size(), piece)).ok());
    if (i > 0) REQUIRE(f.ReadAll(key).value() == content);
    REQUIRE(f.store->ReadPending(key).value() == content + piece);
    REQUIRE(f.store->Commit(key, version).ok());
    content += piece;
    REQUIRE(f.ReadAll(key).value() == content);
  }
}

TEST_CASE("a gap reads as zeros, also in a slot that held other bytes", "[chunkserver][store]") {
  StoreFixture f;
  const std::string old(200 * kKiB, 'X');
  REQUIRE(f.Write(f.Key(1), 0, old).ok());
  REQUIRE(f.StageAndCommit(f.Key(1), f.Change(ChangeKind::kDelete, 0, "")).ok());
  REQUIRE(f.store->Barrier().ok());
  for (uint32_t i = 2; i < 8; ++i) {
    REQUIRE(f.Write(f.Key(i), 150 * kKiB, Pattern(20 * kKiB)).ok());
    REQUIRE(f.ReadAll(f.Key(i)).value() == std::string(150 * kKiB, '\0') + Pattern(20 * kKiB));
  }
}

TEST_CASE("truncation shortens and lengthens; what comes back is zeros", "[chunkserver][store]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  const std::string base = Pattern(3 * kBlock);
  REQUIRE(f.Write(key, 0, base).ok());
  REQUIRE(f.StageAndCommit(key, f.Change(ChangeKind::kTruncate, kBlock + 5, "")).ok());
  REQUIRE(f.ReadAll(key).value() == base.substr(0, kBlock + 5));
  REQUIRE(f.StageAndCommit(key, f.Change(ChangeKind::kTruncate, 3 * kBlock, "")).ok());
  REQUIRE(f.ReadAll(key).value() == base.substr(0, kBlock + 5) + std::string(2 * kBlock - 5, '\0'));
  REQUIRE(f.Write(key, 3 * kBlock, "end").ok());
  REQUIRE(f.ReadAll(key).value() ==
          base.substr(0, kBlock + 5) + std::string(2 * kBlock - 5, '\0') + "end");
  REQUIRE(f.StageAndCommit(key, f.Change(ChangeKind::kTruncate, 0, "")).ok());
  REQUIRE(f.ReadAll(key).value().empty());
  REQUIRE(f.store->Stat(key).value().exists());
}

TEST_CASE("zeroing never makes a chunk longer", "[chunkserver][store]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  std::string base = Pattern(2 * kBlock);
  REQUIRE(f.Write(key, 0, base).ok());
  REQUIRE(f.StageAndCommit(key, f.Change(ChangeKind::kZero, 100, "", 50)).ok());
  base.replace(100, 50, std::string(50, '\0'));
  REQUIRE(f.ReadAll(key).value() == base);
  REQUIRE(f.StageAndCommit(key, f.Change(ChangeKind::kZero, kBlock, "", 100 * kBlock)).ok());
  base.replace(kBlock, kBlock, std::string(kBlock, '\0'));
  REQUIRE(f.ReadAll(key).value() == base);
}

TEST_CASE("a deleted chunk is absent, and a new one under its key starts empty",
          "[chunkserver][store]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  REQUIRE(f.Write(key, 0, Pattern(5000)).ok());
  const ChunkVersion version = f.NextVersion();
  REQUIRE(f.store->Stage(key, version, f.Change(ChangeKind::kDelete, 0, "")).ok());
  REQUIRE(f.store->Stat(key).value().pending_deletes);
  REQUIRE(f.ReadAll(key).value() == Pattern(5000));
  REQUIRE(f.store->Commit(key, version).ok());
  REQUIRE_FALSE(f.store->Stat(key).value().exists());
  REQUIRE(f.Write(key, 10, "x").ok());
  REQUIRE(f.ReadAll(key).value() == std::string(10, '\0') + "x");
}

TEST_CASE("data that fails its checksum changes nothing", "[chunkserver][store]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  REQUIRE(f.Write(key, 0, Pattern(9000)).ok());
  for (uint32_t offset : {0u, 100u, 9000u}) {
    for (ChangeKind kind : {ChangeKind::kWrite, ChangeKind::kReplace}) {
      const std::string data = Pattern(300, 'Q');
      ChunkChange change = f.Change(kind, offset, data);
      change.crc32c ^= 1;
      REQUIRE(absl::IsDataLoss(f.store->Stage(key, f.NextVersion(), change)));
    }
  }
  REQUIRE(f.ReadAll(key).value() == Pattern(9000));
  REQUIRE_FALSE(f.store->Stat(key).value().quarantined);
  f.store.reset();
  AuditClosedTarget(f);  // no slot was left behind
}

TEST_CASE("any range can be read, with the checksum of just those bytes", "[chunkserver][store]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  const std::string base = Pattern(200 * kKiB + 77);
  REQUIRE(f.Write(key, 0, base).ok());
  for (uint32_t offset : {0u, 1u, kBlock - 1, kBlock, 100000u, 200 * 1024u + 76, 300000u}) {
    for (uint32_t length : {0u, 1u, kBlock, 150000u, 262144u}) {
      CAPTURE(offset, length);
      const std::string expected = offset < base.size() ? base.substr(offset, length) : "";
      REQUIRE(f.ReadRange(key, offset, length).value() == expected);
      std::string into(length, '?');
      absl::StatusOr<ReadResult> at_once =
          f.store->ReadNoWait(key, offset, absl::MakeSpan(into.data(), into.size()));
      REQUIRE(at_once.ok());
      REQUIRE(into.substr(0, at_once->length) == expected);
    }
  }
}

TEST_CASE("small overwrites wait in the index, then move to their place", "[chunkserver][store]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  std::string base = Pattern(100 * kKiB);
  REQUIRE(f.Write(key, 0, base).ok());
  auto patches = [&] {
    f.store.reset();
    auto index = ChunkIndex::Open(f.options.dir + "/index", 1 << 20, f.env.get()).value();
    size_t count = index->Get(key).value()->image.patches.size();
    index.reset();
    f.Open();
    return count;
  };
  REQUIRE(f.Write(key, 5000, "first").ok());
  base.replace(5000, 5, "first");
  REQUIRE(f.Write(key, 50000, "second").ok());
  base.replace(50000, 6, "second");
  REQUIRE(f.ReadAll(key).value() == base);
  f.Kill();
  f.Open();
  REQUIRE(patches() == 2);
  // One barrier makes them durable, the next their bytes in place, then they go.
  for (int i = 0; i < 3; ++i) REQUIRE(f.store->Barrier().ok());
  REQUIRE(patches() == 0);
  REQUIRE(f.ReadAll(key).value() == base);
  f.store.reset();
  AuditClosedTarget(f);
}

TEST_CASE("many small overwrites of one chunk do not pile up", "[chunkserver][store]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  std::string base = Pattern(250 * kKiB);
  REQUIRE(f.Write(key, 0, base).ok());
  for (uint32_t i = 0; i < 200; ++i) {
    const uint32_t offset = (i * 7919) % (base.size() - 10);
    REQUIRE(f.Write(key, offset, "0123456789").ok());
    base.replace(offset, 10, "0123456789");
  }
  REQUIRE(f.ReadAll(key).value() == base);
}

TEST_CASE("the last eight channels stay with the chunk", "[chunkserver][store]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  for (uint64_t i = 0; i < 12; ++i) {
    ChunkChange change = f.Change(ChangeKind::kWrite, 0, "data");
    change.stamp = {SessionId(100 + i % 10), 3, 1000 + i};
    REQUIRE(f.StageAndCommit(key, change).ok());
  }
  const ChunkInfo info = f.store->Stat(key).value();
  REQUIRE(info.channels.size() == kChannelsKept);
  REQUIRE(info.channels.back().stamp == WriteStamp{SessionId(101), 3, 1011});
  REQUIRE(info.channels.back().version == info.committed);
  for (const ChannelRecord& c : info.channels) REQUIRE(c.stamp.session != SessionId(102));

  // A pending write's stamp is seen, and forgotten with it.
  ChunkChange change = f.Change(ChangeKind::kWrite, 0, "more");
  change.stamp = {SessionId(101), 3, 2000};
  const ChunkVersion version = f.NextVersion();
  REQUIRE(f.store->Stage(key, version, change).ok());
  REQUIRE(f.store->Stat(key).value().channels.back().stamp.sequence == 2000);
  REQUIRE(f.store->Discard(key, version).ok());
  REQUIRE(f.store->Stat(key).value().channels.back().stamp.sequence == 1011);
}

TEST_CASE("a flipped bit is found, the chunk is quarantined, and a whole new content heals it",
          "[chunkserver][store]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  const std::string base = Pattern(50 * kKiB);
  REQUIRE(f.Write(key, 0, base).ok());
  REQUIRE(f.store->Barrier().ok());
  f.fs.FlipBit(f.options.dir + "/slabs/00000000.slab", 20000);
  REQUIRE(f.ReadRange(key, 0, kBlock).value() == base.substr(0, kBlock));  // another block
  REQUIRE(absl::IsDataLoss(f.ReadAll(key).status()));
  REQUIRE(f.store->checksum_errors() == 1);
  const ChunkInfo info = f.store->Stat(key).value();
  REQUIRE(info.quarantined);
  REQUIRE(info.exists());  // not absent
  REQUIRE(absl::IsDataLoss(f.ReadRange(key, 0, kBlock).status()));
  f.Reopen();
  REQUIRE(absl::IsDataLoss(f.store->Verify(key)));
  REQUIRE(absl::IsDataLoss(
      f.store->Stage(key, f.NextVersion(), f.Change(ChangeKind::kWrite, 10, "no base"))));
  REQUIRE(f.StageAndCommit(key, f.Change(ChangeKind::kReplace, 0, "healed")).ok());
  REQUIRE(f.ReadAll(key).value() == "healed");
}

TEST_CASE("a write that needs rotten bytes fails and quarantines the chunk",
          "[chunkserver][store]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  REQUIRE(f.Write(key, 0, Pattern(50 * kKiB)).ok());
  f.fs.FlipBit(f.options.dir + "/slabs/00000000.slab", 100);
  REQUIRE(
      absl::IsDataLoss(f.store->Stage(key, f.NextVersion(), f.Change(ChangeKind::kWrite, 5, "x"))));
  REQUIRE(f.store->Stat(key).value().quarantined);
}

TEST_CASE("below the reserve writes get ENOSPC, reads and deletions go on",
          "[chunkserver][store]") {
  StoreFixture f;
  f.store.reset();
  f.options.reserve_bytes = 300 * kKiB;
  f.fs.set_capacity(1 * kMiB);
  f.Open();
  std::vector<ChunkKey> written;
  absl::Status status;
  for (uint32_t i = 0; i < 100 && status.ok(); ++i) {
    status = f.Write(f.Key(i), 0, Pattern(64 * kKiB));
    if (status.ok()) written.push_back(f.Key(i));
  }
  REQUIRE(ErrnoOf(status) == ENOSPC);
  REQUIRE(written.size() >= 8);
  REQUIRE(f.store->Space().value().free_bytes < 64 * kKiB);
  f.Reopen();
  for (const ChunkKey& key : written) REQUIRE(f.ReadAll(key).value() == Pattern(64 * kKiB));
  for (const ChunkKey& key : written) {
    REQUIRE(f.StageAndCommit(key, f.Change(ChangeKind::kDelete, 0, "")).ok());
  }
  REQUIRE(f.store->Barrier().ok());
  REQUIRE(f.store->Barrier().ok());  // the first one's slots have been given back by now
  REQUIRE(f.Write(f.Key(500), 0, Pattern(64 * kKiB)).ok());
}

TEST_CASE("the reserve can be changed while the store works", "[chunkserver][store]") {
  StoreFixture f;
  f.fs.set_capacity(10 * kMiB);
  REQUIRE(f.Write(f.Key(1), 0, Pattern(64 * kKiB)).ok());
  f.store->SetReserve(11 * kMiB);
  REQUIRE(ErrnoOf(f.Write(f.Key(2), 0, Pattern(64 * kKiB))) == ENOSPC);
  REQUIRE(f.ReadAll(f.Key(1)).value() == Pattern(64 * kKiB));
  f.store->SetReserve(0);
  REQUIRE(f.Write(f.Key(2), 0, Pattern(64 * kKiB)).ok());
}

TEST_CASE("a disk that is really full corrupts nothing and the store opens on it",
          "[chunkserver][store]") {
  StoreFixture f;
  f.fs.set_capacity(1 * kMiB);  // no reserve: the write itself fails
  std::vector<ChunkKey> written;
  absl::Status status;
  for (uint32_t i = 0; i < 100 && status.ok(); ++i) {
    status = f.Write(f.Key(i), 0, Pattern(60 * kKiB));
    if (status.ok()) written.push_back(f.Key(i));
  }
  REQUIRE(ErrnoOf(status) == ENOSPC);
  REQUIRE_FALSE(f.store->Stat(f.Key(written.size())).value().exists());
  REQUIRE(f.store->Barrier().ok());
  std::mt19937_64 random(1);
  f.PowerCut(random);
  f.Open();
  for (const ChunkKey& key : written) REQUIRE(f.ReadAll(key).value() == Pattern(60 * kKiB));
}

TEST_CASE("after a failed write the chunk is as before", "[chunkserver][store]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  REQUIRE(f.Write(key, 0, Pattern(10000)).ok());
  f.fs.set_fail_writes(true);
  const ChunkVersion version = f.NextVersion();
  REQUIRE(ErrnoOf(f.store->Stage(key, version, f.Change(ChangeKind::kReplace, 0, "x"))) == EIO);
  REQUIRE(ErrnoOf(f.store->Stage(key, version, f.Change(ChangeKind::kWrite, 10000, "x"))) == EIO);
  f.fs.set_fail_writes(false);
  REQUIRE(f.store->io_errors() == 2);
  REQUIRE_FALSE(f.store->Stat(key).value().pending.has_value());
  REQUIRE(f.ReadAll(key).value() == Pattern(10000));
  REQUIRE(f.Write(key, 10000, "later").ok());
  REQUIRE(f.ReadAll(key).value() == Pattern(10000) + "later");
}

TEST_CASE("after a failed sync nothing is promised any more until the target is opened again",
          "[chunkserver][store]") {
  StoreFixture f;
  REQUIRE(f.Write(f.Key(1), 0, "data").ok());
  f.fs.set_fail_syncs(true);
  REQUIRE_FALSE(f.store->Barrier().ok());
  f.fs.set_fail_syncs(false);
  REQUIRE_FALSE(f.store->Barrier().ok());
  REQUIRE_FALSE(f.Write(f.Key(2), 0, "data").ok());
  REQUIRE(f.ReadAll(f.Key(1)).value() == "data");
  f.Reopen();
  REQUIRE(f.store->Barrier().ok());
  REQUIRE(f.ReadAll(f.Key(1)).value() == "data");
}

TEST_CASE("a barrier runs by itself soon after a write", "[chunkserver][store]") {
  StoreFixture f;
  f.store.reset();
  f.options.barrier_every = absl::Milliseconds(5);
  f.Open();
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  std::mt19937_64 random(1);
  REQUIRE(f.store->Barrier().ok());
  const uint64_t before = f.store->barrier_number();  // nothing is dirty, so it stays
  const ChunkVersion version = f.NextVersion();
  const ChunkChange change = f.Change(ChangeKind::kWrite, 0, "data");
  REQUIRE(f.store->Stage(f.Key(1), version, change).ok());
  while (f.store->barrier_number() < before + 1 && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  REQUIRE(f.store->barrier_number() >= before + 1);
  f.PowerCut(random, {0, 0});
  f.Open();
  REQUIRE(f.store->ReadPending(f.Key(1)).value() == "data");
}

TEST_CASE("a chunk larger than the limit is refused", "[chunkserver][store]") {
  StoreFixture f;
  REQUIRE(ErrnoOf(f.Write(f.Key(1), f.options.max_chunk_bytes, "x")) == EFBIG);
  REQUIRE(ErrnoOf(f.StageAndCommit(
              f.Key(1), f.Change(ChangeKind::kTruncate, f.options.max_chunk_bytes + 1, ""))) ==
          EFBIG);
  REQUIRE(f.Write(f.Key(1), f.options.max_chunk_bytes - 1, "x").ok());
}

TEST_CASE("space and counts follow writes and deletions, over restarts", "[chunkserver][store]") {
  StoreFixture f;
  for (uint32_t i = 0; i < 10; ++i) REQUIRE(f.Write(f.Key(i), 0, Pattern(1000)).ok());
  REQUIRE(f.StageAndCommit(f.Key(3), f.Change(ChangeKind::kDelete, 0, "")).ok());
  for (int i = 0; i < 3; ++i) {
    REQUIRE(f.store->Space().value().chunks == 9);
    REQUIRE(f.store->Space().value().stored_bytes == 9000);
    if (i == 0) f.Reopen();
    if (i == 1) {
      f.Kill();
      f.Open();
    }
  }
}

TEST_CASE("sequences grow over restarts, and above what was seen elsewhere",
          "[chunkserver][store]") {
  StoreFixture f;
  uint64_t last = 0;
  std::mt19937_64 random(1);
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 10; ++j) {
      const uint64_t next = f.store->NextSequence().value();
      REQUIRE(next > last);
      last = next;
    }
    REQUIRE(f.store->RaiseSequence(last + 10 * SequenceSource::kBlock).ok());
    REQUIRE(f.store->NextSequence().value() > last + 10 * SequenceSource::kBlock);
    last += 10 * SequenceSource::kBlock;
    REQUIRE(absl::IsInvalidArgument(f.store->RaiseSequence(UINT64_MAX)));
    REQUIRE(f.store->NextSequence().value() > last);
    f.PowerCut(random);
    f.Open();
  }
}

TEST_CASE("VisitGroup gives each group's chunks in key order, from any point",
          "[chunkserver][store]") {
  StoreFixture f;
  std::map<uint32_t, size_t> expected;
  for (uint32_t i = 0; i < 100; ++i) {
    REQUIRE(f.Write(f.Key(i), 0, "x").ok());
    ++expected[GroupOfPosition(f.Key(i).position, 8)];
  }
  for (uint32_t group = 0; group < 8; ++group) {
    std::vector<ChunkKey> seen;
    REQUIRE(f.store
                ->VisitGroup(group, 8, std::nullopt,
                             [&](const ChunkKey& key, const ChunkInfo& info) {
                               REQUIRE(GroupOfPosition(key.position, 8) == group);
                               REQUIRE(info.exists());
                               seen.push_back(key);
                               return true;
                             })
                .ok());
    REQUIRE(seen.size() == expected[group]);
    for (size_t i = 1; i < seen.size(); ++i) {
      REQUIRE(ReverseBits(seen[i - 1].position) <= ReverseBits(seen[i].position));
    }
    // In pages of two.
    std::vector<ChunkKey> paged;
    std::optional<ChunkKey> after;
    for (size_t before = SIZE_MAX; before != paged.size();) {
      before = paged.size();
      REQUIRE(f.store
                  ->VisitGroup(group, 8, after,
                               [&](const ChunkKey& key, const ChunkInfo&) {
                                 paged.push_back(key);
                                 return paged.size() < before + 2;
                               })
                  .ok());
      if (!paged.empty()) after = paged.back();
    }
    REQUIRE(paged == seen);
  }
}

}  // namespace penstock::chunkserver

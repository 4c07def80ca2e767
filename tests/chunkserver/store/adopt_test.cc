#include <catch2/catch.hpp>

#include "tests/chunkserver/store/store_audit.h"
#include "tests/chunkserver/store/store_fixture.h"

namespace penstock::chunkserver {
namespace {

ChunkContent Content(ChunkVersion version, std::string_view data,
                     std::vector<ChannelRecord> channels = {}) {
  return {version, absl::MakeConstSpan(data.data(), data.size()), Crc32c(data),
          std::move(channels)};
}

ChannelRecord Channel(uint64_t session, uint64_t sequence, ChunkVersion version) {
  return {WriteStamp{SessionId(session), 1, sequence}, version};
}

}  // namespace

TEST_CASE("another's version takes the place of a newer, a pending or a damaged one",
          "[chunkserver][store]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  REQUIRE(f.Write(key, 0, "mine").ok());
  REQUIRE(f.Write(key, 4, " and newer").ok());
  REQUIRE(f.store->Stage(key, f.NextVersion(), f.Change(ChangeKind::kWrite, 0, "p")).ok());
  const std::vector<ChannelRecord> channels = {Channel(5, 7, {1, 1}), Channel(6, 2, {1, 2})};
  const ChunkVersion older{1, 1};
  REQUIRE(f.store->Adopt(key, Content(older, "theirs", channels)).ok());
  ChunkInfo info = f.store->Stat(key).value();
  REQUIRE(info.committed == older);
  REQUIRE(!info.pending);
  REQUIRE(info.channels.size() == 2);
  REQUIRE(info.channels[0].stamp == channels[0].stamp);
  REQUIRE(f.ReadAll(key).value() == "theirs");
  REQUIRE(f.store->Adopt(key, Content(older, "theirs")).ok());  // a repeat, of the same version
  REQUIRE(absl::IsDataLoss(f.store->Adopt(key, {{9, 9}, "wrong", 1, {}})));
  REQUIRE(f.ReadAll(key).value() == "theirs");
  REQUIRE(f.store->Adopt(f.Key(2), Content({3, 3}, "")).ok());
  REQUIRE(f.store->Stat(f.Key(2)).value().exists());
  f.Reopen();
  REQUIRE(f.ReadAll(key).value() == "theirs");
  f.store.reset();
  AuditClosedTarget(f);
}

TEST_CASE("a dropped chunk is gone with what was pending", "[chunkserver][store]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  REQUIRE(f.Write(key, 0, "data").ok());
  REQUIRE(f.store->Stage(key, f.NextVersion(), f.Change(ChangeKind::kWrite, 0, "p")).ok());
  REQUIRE(f.store->Stage(f.Key(2), f.NextVersion(), f.Change(ChangeKind::kWrite, 0, "p")).ok());
  for (uint32_t i : {1, 2, 3}) {
    REQUIRE(f.store->Drop(f.Key(i)).ok());
    const ChunkInfo info = f.store->Stat(f.Key(i)).value();
    REQUIRE(!info.exists());
    REQUIRE(!info.pending);
  }
  REQUIRE(f.store->Space().value().chunks == 0);
  f.store.reset();
  AuditClosedTarget(f);
}

TEST_CASE("what was adopted survives a power cut after a barrier, or the old content is back",
          "[chunkserver][store]") {
  std::mt19937_64 random(TestSeed("adopt"));
  StoreFixture f;
  REQUIRE(f.Write(f.Key(1), 0, "old").ok());
  REQUIRE(f.Write(f.Key(2), 0, "old").ok());
  REQUIRE(f.store->Barrier().ok());
  REQUIRE(f.store->Adopt(f.Key(1), Content({7, 7}, "adopted")).ok());
  REQUIRE(f.store->Barrier().ok());
  REQUIRE(f.store->Adopt(f.Key(2), Content({7, 8}, "adopted")).ok());
  f.PowerCut(random);
  f.Open();
  REQUIRE(f.ReadAll(f.Key(1)).value() == "adopted");
  const std::string either = f.ReadAll(f.Key(2)).value();
  REQUIRE((either == "adopted" || either == "old"));
}

TEST_CASE("a whole chunk that is staged brings its channels", "[chunkserver][store]") {
  StoreFixture f;
  const ChunkKey key = f.Key(1);
  ChunkChange change = f.Change(ChangeKind::kReplace, 0, "whole");
  change.stamp = WriteStamp{SessionId(9), 1, 4};
  change.channels = {Channel(5, 7, {1, 1}), Channel(6, 2, {1, 2})};
  const ChunkVersion version{2, 3};
  REQUIRE(f.store->Stage(key, version, change).ok());
  f.Reopen();
  for (bool committed : {false, true}) {
    if (committed) REQUIRE(f.store->Commit(key, version).ok());
    const ChunkInfo info = f.store->Stat(key).value();
    REQUIRE(info.channels.size() == 3);
    REQUIRE(info.channels[1].stamp.session == SessionId(6));
    REQUIRE(info.channels[2].stamp == change.stamp);
    REQUIRE(info.channels[2].version == version);
  }
}

}  // namespace penstock::chunkserver

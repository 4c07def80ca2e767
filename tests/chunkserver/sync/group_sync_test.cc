#include "chunkserver/sync/group_sync.h"

#include <absl/strings/str_cat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "chunkserver/chain/chunk_wire.h"
#include "common/checksum.h"
#include "common/status.h"
#include "tests/chunkserver/control/fake_cluster.h"
#include "tests/chunkserver/service/chain_fixture.h"

namespace penstock::chunkserver {
namespace {

// Puts a version into one member's store alone, as a past that the others do not share.
void Plant(ChunkStore& store, const ChunkKey& key, ChunkVersion version, const std::string& data) {
  REQUIRE(store.Drop(key).ok());
  REQUIRE(store.Adopt(key, {version, data, Crc32c(data), {}}).ok());
}
void PlantPending(ChunkStore& store, const ChunkKey& key, ChunkVersion version,
                  const std::string& data) {
  ChunkChange change;
  change.kind = ChangeKind::kReplace;
  change.data = data;
  change.crc32c = Crc32c(data);
  REQUIRE(store.Stage(key, version, change).ok());
}

void RequireEqual(ChainFixture& chain, int a, int b, uint32_t chunks) {
  for (uint32_t i = 0; i < chunks; ++i) {
    INFO("chunk " << i);
    REQUIRE(chain.Read(a, i) == chain.Read(b, i));
    const auto left = chain.Stat(a, i, true), right = chain.Stat(b, i, true);
    REQUIRE(FromWire(left.version()) == FromWire(right.version()));
    REQUIRE(!left.has_pending());
    REQUIRE(!right.has_pending());
  }
}

TEST_CASE("a member that was away gets what was written, changed and deleted meanwhile",
          "[chunkserver][sync]") {
  ChainFixture chain(3);
  for (uint32_t i = 0; i < 40; ++i) REQUIRE(chain.Write(i, absl::StrCat("first ", i)).code() == 0);
  chain.StopMember(2);
  chain.NewEpoch({0, 1});
  for (uint32_t i = 0; i < 10; ++i) REQUIRE(chain.Write(i, "second").code() == 0);
  for (uint32_t i = 10; i < 20; ++i) {
    REQUIRE(chain.Write(chain.MakeChange(i, wire::CHANGE_DELETE, 0), "").code() == 0);
  }
  for (uint32_t i = 40; i < 50; ++i) REQUIRE(chain.Write(i, std::string(300'000, 'n')).code() == 0);
  chain.StartMember(2);
  chain.NewEpoch({0, 1}, {2});
  REQUIRE(chain.Write(3, "while it syncs").code() == 0);
  chain.StartSync(2);
  REQUIRE(Eventually([&] { return chain.Synced(2); }));
  const auto progress = chain.member(2).sync->progress();
  REQUIRE(progress.size() == 1);
  REQUIRE(progress[0].target_id() == 3);
  REQUIRE(progress[0].groups_left() == 0);
  REQUIRE(progress[0].bytes_fetched() >= 10 * 300'000);
  chain.NewEpoch({0, 1, 2});
  RequireEqual(chain, 0, 2, 50);
  REQUIRE(chain.Write(4, "goes on").code() == 0);
  REQUIRE(Eventually([&] { return chain.member(2).sync->synced().empty(); }));
}

TEST_CASE("what an index may have lost is no hole, also to one that copies from it",
          "[chunkserver][sync][doubt]") {
  ChainFixture chain(2);
  for (uint32_t i = 0; i < 8; ++i) REQUIRE(chain.Write(i, absl::StrCat("first ", i)).code() == 0);
  REQUIRE(chain.member(0).store().Drop(chain.Key(3)).ok());  // with its index
  chain.NewEpoch({0});
  chain.RestartInDoubt(0, 5000);  // the chunks' content is 4711
  const auto data_loss = static_cast<uint32_t>(absl::StatusCode::kDataLoss);
  std::string bytes;
  REQUIRE(chain.ReadResultOf(0, 3, &bytes).code() == data_loss);
  REQUIRE(chain.Stat(0, 3).quarantined());
  REQUIRE(chain.ReadResultOf(0, 100, &bytes).code() == data_loss);  // nobody knows
  REQUIRE(chain.Write(100, "part").code() == data_loss);
  REQUIRE(chain.Read(0, 1) == "first 1");
  REQUIRE(chain.Write(1, "it goes on").code() == 0);
  ChunkKey fresh = chain.Key(0);
  fresh.content = ContentId(6000);
  REQUIRE(!chain.member(0).store().MayLack({1, 0}, fresh.content));

  // One with a good copy keeps it, and is not in sync without a word about it.
  chain.NewEpoch({0}, {1});
  chain.StartSync(1);
  absl::SleepFor(absl::Milliseconds(300));
  REQUIRE(!chain.Synced(1));
  REQUIRE(chain.member(1).store().Stat(chain.Key(3)).value().exists());
  REQUIRE(chain.member(1).store().Drop(chain.Key(3)).ok());  // it is given up
  REQUIRE(Eventually([&] { return chain.Synced(1); }));
  chain.NewEpoch({0, 1});
  REQUIRE(chain.ReadResultOf(1, 3, &bytes).code() == data_loss);
  REQUIRE(chain.member(1).store().MayLack({1, 0}, ContentId(4999)));
  REQUIRE(!chain.member(1).store().MayLack({1, 0}, ContentId(5000)));
}

TEST_CASE("doubts end when a member follows one that has none", "[chunkserver][sync][doubt]") {
  ChainFixture chain(2);
  for (uint32_t i = 0; i < 8; ++i) REQUIRE(chain.Write(i, absl::StrCat("first ", i)).code() == 0);
  REQUIRE(chain.member(1).store().Drop(chain.Key(3)).ok());
  chain.NewEpoch({0});
  chain.RestartInDoubt(1, 5000);
  chain.NewEpoch({0}, {1});
  chain.StartSync(1);
  REQUIRE(Eventually([&] { return chain.Synced(1); }));
  chain.NewEpoch({0, 1});
  REQUIRE(chain.Read(1, 3) == "first 3");
  REQUIRE(chain.Read(1, 100) == "<absent>");
  REQUIRE(chain.Write(100, "part").code() == 0);
  chain.StopMember(1);
  chain.StartMember(1);
  REQUIRE(chain.Read(1, 101) == "<absent>");
}

TEST_CASE("a past that the others do not share is given up", "[chunkserver][sync]") {
  ChainFixture chain(3);
  for (uint32_t i = 0; i < 6; ++i) REQUIRE(chain.Write(i, absl::StrCat("shared ", i)).code() == 0);
  chain.NewEpoch({0, 1});
  ChunkStore& store = chain.member(2).store();
  Plant(store, chain.Key(0), {1, 1'000'000}, "newer, but nobody else has it");
  Plant(store, chain.Key(7), {1, 1'000'001}, "nobody else has the chunk");
  PlantPending(store, chain.Key(1), {1, 1'000'002}, "pending over a good one");
  PlantPending(store, chain.Key(8), {1, 1'000'003}, "pending over nothing");
  chain.NewEpoch({0, 1}, {2});
  // A write that finds the newer past in its way is not given up by the head.
  REQUIRE(chain.Write(0, "w").code() == 0);
  chain.StartSync(2);
  REQUIRE(Eventually([&] { return chain.Synced(2); }));
  chain.NewEpoch({0, 1, 2});
  RequireEqual(chain, 1, 2, 9);
  REQUIRE(chain.Read(2, 7) == "<absent>");
}

TEST_CASE("repeats are known to a member that got the chunk while it synced",
          "[chunkserver][sync]") {
  ChainFixture chain(2);
  auto first = chain.MakeWrite(0, "first");
  auto second = chain.MakeWrite(1, "first");
  chain.NewEpoch({0});
  for (auto* write : {&first, &second}) write->set_epoch(chain.epoch());
  const auto answer = chain.Write(first, "first");
  REQUIRE(answer.code() == 0);
  REQUIRE(chain.Write(second, "first").code() == 0);
  chain.NewEpoch({0}, {1});
  // One chunk comes whole down the chain, by another client; the other is fetched.
  auto other = chain.MakeWrite(0, "2nd");
  other.set_session_id(78);
  REQUIRE(chain.Write(other, "2nd").code() == 0);
  chain.StartSync(1);
  REQUIRE(Eventually([&] { return chain.Synced(1); }));
  chain.NewEpoch({1});
  for (auto* write : {&first, &second}) {
    write->set_epoch(chain.epoch());
    write->set_target_id(2);
  }
  REQUIRE(FromWire(chain.Write(first, "first", 1).version()) == FromWire(answer.version()));
  REQUIRE(chain.Write(second, "first", 1).code() == 0);
  REQUIRE(chain.Read(1, 0) == "2ndst");
}

TEST_CASE("a group is not synced before what was pending at the source is settled",
          "[chunkserver][sync]") {
  ChainFixture chain(2);
  REQUIRE(chain.Write(0, "old").code() == 0);
  chain.NewEpoch({0});
  PlantPending(chain.member(0).store(), chain.Key(0), {2, 500}, "pending since before");
  chain.NewEpoch({0}, {1});
  chain.StartSync(1);
  REQUIRE(Eventually([&] { return chain.member(0).settler->noted() == 1; }));
  REQUIRE(!chain.Synced(1));
  chain.member(0).settler->Start();
  REQUIRE(Eventually([&] { return chain.Synced(1); }));
  chain.NewEpoch({0, 1});
  REQUIRE(chain.Read(1, 0) == "pending since before");
  RequireEqual(chain, 0, 1, 1);
}

TEST_CASE("writes go on while a member syncs, and it has them", "[chunkserver][sync]") {
  ChainFixture chain(3);
  for (uint32_t i = 0; i < 30; ++i) REQUIRE(chain.Write(i, std::string(5000, 'a')).code() == 0);
  chain.NewEpoch({0, 1});
  for (uint32_t i = 0; i < 30; ++i) REQUIRE(chain.Write(i, std::string(6000, 'b')).code() == 0);
  chain.NewEpoch({0, 1}, {2});
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0}, written{0};
  std::thread writer([&] {
    for (uint32_t n = 0; !stop; ++n) {
      const auto change = n % 5 == 4 ? chain.MakeChange(n % 30, wire::CHANGE_DELETE, 0)
                                     : chain.MakeWrite(n % 30, absl::StrCat("w", n));
      const std::string data = n % 5 == 4 ? "" : absl::StrCat("w", n);
      if (chain.Write(change, data).code() != 0) ++failed;
      ++written;
    }
  });
  chain.StartSync(2);
  const bool synced = Eventually([&] { return chain.Synced(2) && written > 50; });
  stop = true;
  writer.join();
  REQUIRE(synced);
  REQUIRE(failed == 0);
  chain.NewEpoch({0, 1, 2});
  RequireEqual(chain, 0, 2, 30);
  RequireEqual(chain, 1, 2, 30);
}

TEST_CASE(
    "when all have rebooted, the newest version of each chunk is kept, and then all are equal",
    "[chunkserver][sync]") {
  ChainFixture chain(4);
  for (uint32_t i = 0; i < 8; ++i) REQUIRE(chain.Write(i, absl::StrCat("all ", i)).code() == 0);
  chain.NewEpoch({0, 1, 2});
  Plant(chain.member(1).store(), chain.Key(0), {2, 900}, "newest at 1");
  Plant(chain.member(2).store(), chain.Key(1), {2, 901}, "newest at 2");
  Plant(chain.member(0).store(), chain.Key(2), {2, 902}, "newest at the leader");
  Plant(chain.member(3).store(), chain.Key(3), {2, 903}, "a copy that does not count");
  REQUIRE(chain.member(1).store().Drop(chain.Key(4)).ok());
  REQUIRE(chain.member(0).store().Drop(chain.Key(5)).ok());
  PlantPending(chain.member(0).store(), chain.Key(6), {2, 904}, "pending at the leader");
  PlantPending(chain.member(2).store(), chain.Key(7), {2, 905}, "pending at another");
  chain.NewEpoch({}, {0, 1, 2, 3}, 3);
  chain.StartSync(1);
  chain.StartSync(3);
  absl::SleepFor(absl::Milliseconds(100));
  REQUIRE(!chain.Synced(1));  // the leader does not lead yet
  chain.StartSync(0);
  chain.StartSync(2);
  REQUIRE(Eventually(
      [&] { return chain.Synced(0) && chain.Synced(1) && chain.Synced(2) && chain.Synced(3); }));
  chain.NewEpoch({0, 1, 2, 3});
  for (int member : {1, 2, 3}) RequireEqual(chain, 0, member, 8);
  REQUIRE(chain.Read(3, 0) == "newest at 1");
  REQUIRE(chain.Read(3, 1) == "newest at 2");
  REQUIRE(chain.Read(3, 2) == "newest at the leader");
  for (uint32_t i : {3, 4, 5, 6, 7}) REQUIRE(chain.Read(3, i) == absl::StrCat("all ", i));
}

TEST_CASE("nothing is written to a reconciling group", "[chunkserver][sync]") {
  ChainFixture chain(2);
  REQUIRE(chain.Write(0, "data").code() == 0);
  auto write = chain.MakeWrite(0, "late");
  chain.NewEpoch({}, {0, 1}, 2);
  write.set_epoch(chain.epoch());
  REQUIRE(chain.Write(write, "late").code() ==
          static_cast<uint32_t>(absl::StatusCode::kUnavailable));
  REQUIRE(chain.Read(0, 0).rfind("<error", 0) == 0);
}

wire::ListChunksRequest ListOf(const ChainFixture& chain, uint32_t group, int asked, int asker) {
  wire::ListChunksRequest request;
  request.set_storage_class(1);
  request.set_group(group);
  request.set_epoch(chain.epoch());
  request.set_target_id(static_cast<uint32_t>(asked + 1));
  request.set_for_target_id(static_cast<uint32_t>(asker + 1));
  return request;
}

TEST_CASE("a listing comes in pages, in key order, of one group", "[chunkserver][sync]") {
  ChainFixture chain(2);
  for (uint32_t i = 0; i < 20; ++i) REQUIRE(chain.Write(i, "data").code() == 0);
  PlantPending(chain.member(0).store(), chain.Key(40), {1, 777}, "pending");
  size_t found = 0, pending = 0;
  for (uint32_t group = 0; group < 4; ++group) {
    wire::ListChunksRequest request = ListOf(chain, group, 0, 1);
    request.set_limit(2);
    wire::ListChunksResponse page;
    std::optional<ChunkKey> last;
    do {
      page.Clear();
      REQUIRE(
          chain.Call(0, wire::METHOD_LIST_CHUNKS, request, &page, "", wire::ROLE_CHUNKSERVER).ok());
      REQUIRE(page.chunks_size() <= 2);
      for (const wire::ListedChunk& chunk : page.chunks()) {
        const ChunkKey key = FromWire(chunk.key());
        REQUIRE((key.position & 3) == group);
        if (last) REQUIRE(InStoreOrder(*last, key));
        last = key;
        ++found;
        if (chunk.has_pending()) {
          ++pending;
          REQUIRE(!chunk.has_version());
        }
      }
      if (last) *request.mutable_after() = ToWire(*last);
    } while (page.more());
  }
  REQUIRE(found == 21);
  REQUIRE(pending == 1);
}

TEST_CASE("chunks are listed and fetched only for members, by chunkservers, under one epoch",
          "[chunkserver][sync]") {
  ChainFixture chain(3);
  REQUIRE(chain.Write(0, "data").code() == 0);
  chain.NewEpoch({0}, {1});
  const auto list = [&](int asked, int asker, uint32_t epoch,
                        wire::PeerRole role = wire::ROLE_CHUNKSERVER) {
    wire::ListChunksRequest request = ListOf(chain, 0, asked, asker);
    request.set_epoch(epoch);
    wire::ListChunksResponse response;
    return chain.Call(asked, wire::METHOD_LIST_CHUNKS, request, &response, "", role);
  };
  REQUIRE(list(0, 1, 2).ok());
  REQUIRE(ReasonOf(list(0, 1, 1)) == Reason::kStaleEpoch);
  REQUIRE(ReasonOf(list(0, 1, 3)) == Reason::kNewerEpoch);
  REQUIRE(ReasonOf(list(0, 2, 2)) == Reason::kNotMember);
  REQUIRE(ReasonOf(list(1, 0, 2)) == Reason::kNotMember);
  REQUIRE(absl::IsPermissionDenied(list(0, 1, 2, wire::ROLE_CLIENT)));

  wire::FetchChunkRequest fetch;
  chain.Fill(&fetch, 0, 0);
  fetch.set_for_target_id(2);
  wire::FetchChunkResponse response;
  REQUIRE(absl::IsPermissionDenied(chain.Call(0, wire::METHOD_FETCH_CHUNK, fetch, &response)));
  fetch.set_for_target_id(3);
  REQUIRE(ReasonOf(chain.Call(0, wire::METHOD_FETCH_CHUNK, fetch, &response, "",
                              wire::ROLE_CHUNKSERVER)) == Reason::kNotMember);
  chain.Fill(&fetch, 0, 9);
  fetch.set_for_target_id(2);
  REQUIRE(
      chain.Call(0, wire::METHOD_FETCH_CHUNK, fetch, &response, "", wire::ROLE_CHUNKSERVER).ok());
  REQUIRE(response.absent());
}

TEST_CASE("a server without heartbeats serves nothing, and goes on after one",
          "[chunkserver][service]") {
  ChainFixture chain(1);
  REQUIRE(chain.Write(0, "data").code() == 0);
  chain.StopMember(0);
  ServingLease& lease = chain.member(0).lease.emplace(SystemClock(), absl::Minutes(1));
  chain.StartMember(0);
  const auto unavailable = static_cast<uint32_t>(absl::StatusCode::kUnavailable);
  wire::ReadChunksRequest read;
  wire::ReadChunksResponse answer;
  chain.Fill(read.add_reads(), 0, 0);
  REQUIRE(absl::IsUnavailable(chain.Call(0, wire::METHOD_READ_CHUNKS, read, &answer)));
  REQUIRE(chain.Write(0, "late").code() == unavailable);
  lease.Renew(SystemClock()->SinceBoot());
  REQUIRE(chain.Read(0, 0) == "data");
  REQUIRE(chain.Write(0, "more").code() == 0);
  lease.Renew(SystemClock()->SinceBoot() - absl::Minutes(2));  // a heartbeat long ago
  REQUIRE(absl::IsUnavailable(chain.Call(0, wire::METHOD_READ_CHUNKS, read, &answer)));
  REQUIRE(chain.Write(0, "late").code() == unavailable);
}

TEST_CASE("a write that waited for its chunk while the server was out of touch is refused",
          "[chunkserver][service]") {
  ChainFixture chain(1);
  REQUIRE(chain.Write(0, "data").code() == 0);
  chain.StopMember(0);
  ChainMember& member = chain.member(0);
  ServingLease& lease = member.lease.emplace(SystemClock(), absl::Minutes(1));
  lease.Renew(SystemClock()->SinceBoot());
  chain.StartMember(0);
  ChunkLocks::Guard place = *member.locks.Lock(
      {member.targets->all().front()->target_id(), chain.Key(0)}, absl::Seconds(10));
  const uint64_t before = member.targets->all().front()->requests.load();
  uint32_t code = 0;
  std::thread writer([&] { code = chain.Write(0, "late").code(); });
  REQUIRE(Eventually([&] { return member.targets->all().front()->requests.load() > before; }));
  lease.Renew(SystemClock()->SinceBoot() - absl::Minutes(2));  // the last one was long ago
  lease.Renew(SystemClock()->SinceBoot());
  place.Release();
  writer.join();
  REQUIRE(code == static_cast<uint32_t>(absl::StatusCode::kUnavailable));
  REQUIRE(chain.Read(0, 0) == "data");
}

}  // namespace
}  // namespace penstock::chunkserver

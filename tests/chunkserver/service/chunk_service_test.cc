#include "chunkserver/service/chunk_service.h"

#include <absl/strings/str_cat.h>

#include <catch2/catch.hpp>

#include <cerrno>
#include <thread>

#include "chunkserver/chain/chunk_wire.h"
#include "common/checksum.h"
#include "common/status.h"
#include "tests/chunkserver/service/chain_fixture.h"

namespace penstock::chunkserver {
namespace {

Reason ReasonOfResult(const wire::ChunkResult& result) {
  return static_cast<Reason>(result.reason());
}
bool Equal(const wire::ChunkVersion& a, const wire::ChunkVersion& b) {
  return FromWire(a) == FromWire(b);
}

TEST_CASE("a write lies on every member and any member serves it", "[chunkserver][service]") {
  for (int members : {1, 2, 3}) {
    ChainFixture chain(members);
    const std::string data(100'000, 'a');
    const auto result = chain.Write(3, data);
    INFO(result.message());
    REQUIRE(result.code() == 0);
    REQUIRE(result.version().epoch() == 1);
    for (int i = 0; i < members; ++i) {
      REQUIRE(chain.Read(i, 3) == data);
      const auto stat = chain.Stat(i, 3, true);
      REQUIRE(stat.verified());
      REQUIRE(Equal(stat.version(), result.version()));
      REQUIRE(FromWire(stat.pending()) == ChunkVersion{});
      REQUIRE(chain.Read(i, 4) == "<absent>");
    }
  }
}

TEST_CASE("a repeat gets its first answer, an older write none", "[chunkserver][service]") {
  ChainFixture chain(2);
  const auto first = chain.MakeWrite(0, "first");
  const auto answer = chain.Write(first, "first");
  REQUIRE(answer.code() == 0);
  const auto second = chain.Write(0, "2nd");
  REQUIRE(second.code() == 0);
  REQUIRE(ReasonOfResult(chain.Write(first, "first")) == Reason::kOldSequence);
  REQUIRE(chain.Read(1, 0) == "2ndst");
  auto other = chain.MakeWrite(0, "other");
  other.set_channel(2);
  const auto once = chain.Write(other, "other");
  const auto again = chain.Write(other, "other");
  REQUIRE(again.code() == 0);
  REQUIRE(Equal(once.version(), again.version()));
}

TEST_CASE("truncate, zero and delete go down the chain", "[chunkserver][service]") {
  ChainFixture chain(3);
  REQUIRE(chain.Write(0, "0123456789").code() == 0);
  REQUIRE(chain.Write(chain.MakeChange(0, wire::CHANGE_TRUNCATE, 6), "").code() == 0);
  auto zero = chain.MakeChange(0, wire::CHANGE_ZERO, 2);
  zero.set_length(2);
  REQUIRE(chain.Write(zero, "").code() == 0);
  for (int i = 0; i < 3; ++i) REQUIRE(chain.Read(i, 0) == std::string("01\0\00045", 6));
  REQUIRE(chain.Write(chain.MakeChange(0, wire::CHANGE_DELETE, 0), "").code() == 0);
  for (int i = 0; i < 3; ++i) REQUIRE(chain.Read(i, 0) == "<absent>");
  // An absent chunk is cut and deleted without a trace.
  REQUIRE(chain.Write(chain.MakeChange(0, wire::CHANGE_DELETE, 0), "").code() == 0);
  REQUIRE(chain.Write(chain.MakeChange(0, wire::CHANGE_TRUNCATE, 9), "").code() == 0);
  REQUIRE(chain.Read(0, 0) == "<absent>");
  const auto again = chain.Write(0, "new");
  REQUIRE(again.code() == 0);
  for (int i = 0; i < 3; ++i) REQUIRE(chain.Read(i, 0) == "new");
}

TEST_CASE("a write tells how much more the chunk takes, a repeat nothing",
          "[chunkserver][service]") {
  for (int members : {1, 3}) {
    ChainFixture chain(members);
    const std::string data(10'000, 'd');
    const auto first = chain.MakeWrite(0, data);
    REQUIRE(chain.Write(first, data).length_delta() == 10'000);
    REQUIRE(chain.Write(first, data).length_delta() == 0);
    REQUIRE(chain.Write(0, data, 4'000).length_delta() == 4'000);  // over and beyond
    REQUIRE(chain.Write(0, "x", 20'000).length_delta() == 6'001);  // the gap is stored as zeros
    auto zero = chain.MakeChange(0, wire::CHANGE_ZERO, 100);
    zero.set_length(5'000);
    REQUIRE(chain.Write(zero, "").length_delta() == 0);  // in the middle: stored zeros
    REQUIRE(chain.Write(chain.MakeChange(0, wire::CHANGE_TRUNCATE, 1'000), "").length_delta() ==
            -19'001);
    REQUIRE(chain.Write(chain.MakeChange(0, wire::CHANGE_DELETE, 0), "").length_delta() == -1'000);
    REQUIRE(chain.Write(chain.MakeChange(0, wire::CHANGE_DELETE, 0), "").length_delta() == 0);
    REQUIRE(chain.Write(0, "new").length_delta() == 3);
  }
}

TEST_CASE("several chunks go in one request, and each has its own answer",
          "[chunkserver][service]") {
  ChainFixture chain(3);
  wire::WriteChunksRequest request;
  std::string payload;
  for (uint32_t i = 0; i < 20; ++i) {
    const std::string data = absl::StrCat("chunk ", i);
    *request.add_writes() = chain.MakeWrite(i, data);
    if (i == 7) request.mutable_writes(7)->set_crc32c(1);
    if (i == 9) request.mutable_writes(9)->set_epoch(99);
    payload += data;
  }
  wire::WriteChunksResponse response;
  REQUIRE(chain.Call(0, wire::METHOD_WRITE_CHUNKS, request, &response, payload).ok());
  REQUIRE(response.results_size() == 20);
  for (uint32_t i = 0; i < 20; ++i) {
    INFO(i << " " << response.results(i).message());
    if (i == 7) {
      REQUIRE(response.results(i).code() == static_cast<uint32_t>(absl::StatusCode::kDataLoss));
    } else if (i == 9) {
      REQUIRE(ReasonOfResult(response.results(i)) == Reason::kNewerEpoch);
    } else {
      REQUIRE(response.results(i).code() == 0);
      REQUIRE(chain.Read(2, i) == absl::StrCat("chunk ", i));
    }
  }
}

TEST_CASE("a successor that lacks the base gets the whole chunk", "[chunkserver][service]") {
  ChainFixture chain(3);
  REQUIRE(chain.Write(0, "0123456789").code() == 0);
  ChunkChange drop;
  drop.kind = ChangeKind::kDelete;
  ChunkStore& store = chain.member(1).store();
  REQUIRE(store.Stage(chain.Key(0), {1, 1000}, drop).ok());
  REQUIRE(store.Commit(chain.Key(0), {1, 1000}).ok());
  const auto result = chain.Write(0, "ab", 4);
  INFO(result.message());
  REQUIRE(result.code() == 0);
  for (int i = 0; i < 3; ++i) REQUIRE(chain.Read(i, 0) == "0123ab6789");
}

TEST_CASE("a write that finds its successor away is finished by its repeat",
          "[chunkserver][service]") {
  ChainFixture chain(2);
  REQUIRE(chain.Write(0, "old").code() == 0);
  chain.StopMember(1);
  const auto write = chain.MakeWrite(0, "new");
  const auto failed = chain.Write(write, "new");
  REQUIRE(failed.code() == static_cast<uint32_t>(absl::StatusCode::kUnavailable));
  std::string bytes;
  REQUIRE(ReasonOfResult(chain.ReadResultOf(0, 0, &bytes)) == Reason::kPendingVersion);
  // The head restarts, too, with the version pending.
  chain.StopMember(0);
  chain.StartMember(0);
  chain.StartMember(1);
  REQUIRE(chain.Read(1, 0) == "old");  // nobody was told of the new one
  const auto done = chain.Write(write, "new");
  INFO(done.message());
  REQUIRE(done.code() == 0);
  REQUIRE(chain.Read(0, 0) == "new");
  REQUIRE(chain.Read(1, 0) == "new");
}

TEST_CASE("the next write settles what another left pending", "[chunkserver][service]") {
  ChainFixture chain(2);
  REQUIRE(chain.Write(0, "0123456789").code() == 0);
  chain.StopMember(1);
  REQUIRE(chain.Write(0, "AA", 2).code() != 0);
  chain.StartMember(1);
  const auto result = chain.Write(0, "BB", 6);
  INFO(result.message());
  REQUIRE(result.code() == 0);
  REQUIRE(chain.Read(0, 0) == "01AA45BB89");
  REQUIRE(chain.Read(1, 0) == "01AA45BB89");
}

TEST_CASE("a pending version is settled when nobody comes back", "[chunkserver][service]") {
  ChainFixture chain(2);
  chain.StopMember(1);
  REQUIRE(chain.Write(0, "lonely").code() != 0);
  chain.StartMember(1);
  ChainMember& head = chain.member(0);
  REQUIRE(head.settler->noted() == 1);
  REQUIRE(
      head.chain
          ->Settle(head.targets->Find(TargetId(1)), 1, chain.Key(0), absl::Now() + absl::Seconds(5))
          .ok());
  REQUIRE(chain.Read(0, 0) == "lonely");
  REQUIRE(chain.Read(1, 0) == "lonely");
}

TEST_CASE("a member that became tail commits what it has pending", "[chunkserver][service]") {
  ChainFixture chain(3);
  chain.StopMember(2);
  REQUIRE(chain.Write(0, "kept").code() != 0);
  chain.NewEpoch({0, 1});
  REQUIRE(chain.Read(1, 0) == "kept");  // its reader makes it settle
  const auto result = chain.Write(0, "K");
  INFO(result.message());
  REQUIRE(result.code() == 0);
  REQUIRE(result.version().epoch() == 2);
  REQUIRE(chain.Read(0, 0) == "Kept");
  REQUIRE(chain.Read(1, 0) == "Kept");
}

TEST_CASE("a full disk down the chain gives ENOSPC and leaves nothing pending",
          "[chunkserver][service]") {
  ChainFixture chain(2);
  REQUIRE(chain.Write(0, "small").code() == 0);
  chain.StopMember(1);
  chain.member(1).reserve_bytes = uint64_t{1} << 62;
  chain.StartMember(1);
  const std::string data(1 << 20, 'x');
  const auto result = chain.Write(0, data);
  INFO(result.message());
  REQUIRE(result.err() == ENOSPC);
  REQUIRE(chain.Read(0, 0) == "small");
  REQUIRE(FromWire(chain.Stat(0, 0).pending()) == ChunkVersion{});
  chain.StopMember(1);
  chain.member(1).reserve_bytes = 0;
  chain.StartMember(1);
  REQUIRE(chain.Write(0, data).code() == 0);
  REQUIRE(chain.Read(1, 0) == data);
}

TEST_CASE("a request for another epoch, group or target is refused", "[chunkserver][service]") {
  ChainFixture chain(2);
  auto write = chain.MakeWrite(0, "x");
  write.set_epoch(0);
  REQUIRE(ReasonOfResult(chain.Write(write, "x")) == Reason::kStaleEpoch);
  write.set_epoch(2);
  REQUIRE(ReasonOfResult(chain.Write(write, "x")) == Reason::kNewerEpoch);
  write.set_epoch(1);
  write.set_storage_class(9);
  REQUIRE(ReasonOfResult(chain.Write(write, "x")) == Reason::kNoGroups);
  write.set_storage_class(1);
  write.set_target_id(2);
  REQUIRE(ReasonOfResult(chain.Write(write, "x", 0)) == Reason::kNotMember);
  REQUIRE(ReasonOfResult(chain.Write(write, "x", 1)) == Reason::kNotMember);  // not the head
  chain.NewEpoch({1});
  auto outside = chain.MakeWrite(0, "x");
  outside.set_target_id(1);
  REQUIRE(ReasonOfResult(chain.Write(outside, "x", 0)) == Reason::kNotMember);
}

TEST_CASE("more pending chunks than one call carries are settled in several",
          "[chunkserver][service]") {
  constexpr uint32_t kChunks = 9;
  ChainFixture chain(2);
  chain.StopMember(1);
  const std::string data(8 << 20, 'x');
  for (uint32_t i = 0; i < kChunks; ++i) REQUIRE(chain.Write(i, data).code() != 0);
  chain.StartMember(1);
  wire::WriteChunksRequest request;
  for (uint32_t i = 0; i < kChunks; ++i) {
    *request.add_writes() = chain.MakeChange(i, wire::CHANGE_DELETE, 0);
  }
  uint32_t done = 0;
  for (int round = 0; round < 2; ++round) {
    wire::WriteChunksResponse response;
    REQUIRE(chain.Call(0, wire::METHOD_WRITE_CHUNKS, request, &response).ok());
    done = 0;
    for (const wire::ChunkResult& result : response.results()) {
      if (result.code() == 0) ++done;
    }
    REQUIRE(done >= (round == 0 ? 1 : kChunks));
  }
}

TEST_CASE("a fenced session writes nothing more, others do", "[chunkserver][service]") {
  ChainFixture chain(2);
  REQUIRE(chain.Write(0, "before").code() == 0);
  const std::vector<uint64_t> fenced = {77};
  chain.member(0).fences->Update(3, fenced);
  REQUIRE(chain.member(0).fences->confirmed_version() == 3);
  REQUIRE(ReasonOfResult(chain.Write(0, "after!")) == Reason::kFenced);
  auto other = chain.MakeWrite(0, "other!");
  other.set_session_id(78);
  REQUIRE(chain.Write(other, "other!").code() == 0);
}

TEST_CASE("nothing is served before the fences are known", "[chunkserver][service]") {
  ChainFixture chain(2);
  const auto version = chain.Write(0, "before").version();
  chain.StopMember(1);
  chain.member(1).heard = false;
  chain.StartMember(1);
  wire::ReadChunksRequest read;
  chain.Fill(read.add_reads(), 1, 0);
  wire::ReadChunksResponse bytes;
  REQUIRE(absl::IsUnavailable(chain.Call(1, wire::METHOD_READ_CHUNKS, read, &bytes)));
  wire::StatChunksRequest stat;
  chain.Fill(stat.add_chunks(), 1, 0);
  wire::StatChunksResponse state;
  REQUIRE(absl::IsUnavailable(chain.Call(1, wire::METHOD_STAT_CHUNKS, stat, &state)));
  wire::SyncChunksRequest sync;
  chain.Fill(sync.add_syncs(), 1, 0);
  *sync.mutable_syncs(0)->mutable_version() = version;
  wire::SyncChunksResponse synced;
  REQUIRE(absl::IsUnavailable(chain.Call(1, wire::METHOD_SYNC_CHUNKS, sync, &synced)));
  // As the tail, and, under another order, as the head.
  auto write = chain.MakeWrite(0, "after!");
  REQUIRE(chain.Write(write, "after!").code() ==
          static_cast<uint32_t>(absl::StatusCode::kUnavailable));
  chain.NewEpoch({1, 0});
  auto as_head = chain.MakeWrite(1, "early");
  REQUIRE(chain.Write(as_head, "early", 1).code() ==
          static_cast<uint32_t>(absl::StatusCode::kUnavailable));
  REQUIRE(chain.Read(0, 1) == "<absent>");
  chain.member(1).fences->Update(1, std::vector<uint64_t>{77});
  REQUIRE(ReasonOfResult(chain.Write(as_head, "early", 1)) == Reason::kFenced);
  as_head.set_session_id(78);
  REQUIRE(chain.Write(as_head, "early", 1).code() == 0);
  REQUIRE(chain.Read(1, 1) == "early");
}

TEST_CASE("a fence is confirmed when the session's writes are over", "[chunkserver][fence]") {
  FenceTable fences;
  auto pass = fences.Enter(SessionId(5));
  REQUIRE(pass.ok());
  const std::vector<uint64_t> fenced = {5};
  fences.Update(2, fenced);
  REQUIRE(fences.confirmed_version() == 0);
  REQUIRE(ReasonOf(fences.Enter(SessionId(5)).status()) == Reason::kFenced);
  *pass = FenceTable::Pass();
  REQUIRE(fences.confirmed_version() == 2);
}

TEST_CASE("a request that makes no sense is refused as a whole", "[chunkserver][service]") {
  ChainFixture chain(2);
  const auto code = [&](const wire::WriteChunksRequest& request, const std::string& payload,
                        wire::PeerRole role = wire::ROLE_CLIENT) {
    wire::WriteChunksResponse response;
    return chain.Call(0, wire::METHOD_WRITE_CHUNKS, request, &response, payload, role).code();
  };
  wire::WriteChunksRequest request;
  REQUIRE(code(request, "") == absl::StatusCode::kInvalidArgument);
  *request.add_writes() = chain.MakeWrite(0, "abc");
  REQUIRE(code(request, "abcd") == absl::StatusCode::kInvalidArgument);
  REQUIRE(code(request, "") == absl::StatusCode::kInvalidArgument);
  request.mutable_writes(0)->set_hop(1);
  REQUIRE(code(request, "abc") == absl::StatusCode::kPermissionDenied);
  request.mutable_writes(0)->set_hop(1000);
  REQUIRE(code(request, "abc", wire::ROLE_CHUNKSERVER) == absl::StatusCode::kInvalidArgument);
  request.mutable_writes(0)->set_hop(0);
  for (int i = 0; i < 2000; ++i) *request.add_writes() = request.writes(0);
  REQUIRE(code(request, "abc") == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("an item that makes no sense is refused alone", "[chunkserver][service]") {
  ChainFixture chain(1);
  const auto code = [&](wire::ChunkWrite write, const std::string& data) {
    return static_cast<absl::StatusCode>(chain.Write(write, data).code());
  };
  auto write = chain.MakeWrite(0, "abc");
  write.set_change(wire::CHANGE_NONE);
  REQUIRE(code(write, "") == absl::StatusCode::kInvalidArgument);
  write = chain.MakeWrite(0, "abc");
  write.set_offset(0xffffffff);
  REQUIRE(code(write, "abc") == absl::StatusCode::kInvalidArgument);
  write = chain.MakeWrite(0, "abc");
  write.set_offset(0x40000000);
  REQUIRE(chain.Write(write, "abc").err() == EFBIG);
  write = chain.MakeWrite(0, "abc");
  write.mutable_key()->set_content_id(0);
  REQUIRE(code(write, "abc") == absl::StatusCode::kInvalidArgument);
  write = chain.MakeWrite(0, "abc");
  write.set_session_id(0);
  REQUIRE(code(write, "abc") == absl::StatusCode::kInvalidArgument);
  write = chain.MakeWrite(0, "abc");
  write.set_crc32c(write.crc32c() + 1);
  REQUIRE(code(write, "abc") == absl::StatusCode::kDataLoss);
  write = chain.MakeWrite(0, "abc");
  write.mutable_version()->set_sequence(UINT64_MAX);
  REQUIRE(code(write, "abc") == absl::StatusCode::kInvalidArgument);
  // One chunk twice in a request: the second finds no place.
  wire::WriteChunksRequest twice;
  *twice.add_writes() = chain.MakeWrite(0, "abc");
  *twice.add_writes() = chain.MakeWrite(0, "abc");
  wire::WriteChunksResponse response;
  REQUIRE(chain.Call(0, wire::METHOD_WRITE_CHUNKS, twice, &response, "abcabc").ok());
  const int failed = (response.results(0).code() != 0) + (response.results(1).code() != 0);
  REQUIRE(failed == 1);
}

TEST_CASE("sync promises exactly the version asked for", "[chunkserver][service]") {
  ChainFixture chain(2);
  const auto result = chain.Write(0, "durable");
  REQUIRE(result.code() == 0);
  for (int i = 0; i < 2; ++i) REQUIRE(chain.Sync(i, 0, result.version()).code() == 0);
  wire::ChunkVersion later = result.version();
  later.set_sequence(later.sequence() + 1);
  REQUIRE(ReasonOfResult(chain.Sync(1, 0, later)) == Reason::kNotDurable);
  REQUIRE(ReasonOfResult(chain.Sync(0, 5, result.version())) == Reason::kNotDurable);
  REQUIRE(chain.Write(chain.MakeChange(0, wire::CHANGE_DELETE, 0), "").code() == 0);
  REQUIRE(chain.Sync(1, 0, result.version()).code() == 0);  // deleted after it
}

TEST_CASE("reads come back in order, short at the end of a chunk", "[chunkserver][service]") {
  ChainFixture chain(1);
  REQUIRE(chain.Write(0, "hello").code() == 0);
  REQUIRE(chain.Write(1, "world").code() == 0);
  wire::ReadChunksRequest request;
  for (uint32_t index : {0, 9, 1}) {
    auto* read = request.add_reads();
    chain.Fill(read, 0, index);
    read->set_offset(2);
    read->set_length(100);
  }
  wire::ReadChunksResponse response;
  // Without room for the payload the client refuses it; the results are what this test is about.
  chain.Call(0, wire::METHOD_READ_CHUNKS, request, &response).IgnoreError();
  std::string bytes;
  REQUIRE(chain.ReadResultOf(0, 0, &bytes).logical_length() == 5);
  REQUIRE(bytes == "hello");
  request.mutable_reads(0)->set_length(0xffffffff);
  REQUIRE(absl::IsInvalidArgument(chain.Call(0, wire::METHOD_READ_CHUNKS, request, &response)));
}

TEST_CASE("many writers on few chunks end with equal members", "[chunkserver][service]") {
  ChainFixture chain(3);
  std::vector<std::thread> threads;
  std::atomic<int> failed{0};
  for (uint32_t t = 0; t < 4; ++t) {
    std::vector<wire::ChunkWrite> writes;
    for (uint32_t i = 0; i < 25; ++i) {
      writes.push_back(chain.MakeWrite(i % 3, std::string(200, 'a' + t), i * 50));
      writes.back().set_session_id(100 + t);  // of one session, a later channel replaces an earlier
    }
    threads.emplace_back([&chain, &failed, t, writes] {
      for (const auto& write : writes) {
        if (chain.Write(write, std::string(200, 'a' + t)).code() != 0) ++failed;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  REQUIRE(failed == 0);
  for (uint32_t i = 0; i < 3; ++i) {
    REQUIRE(chain.Read(0, i) == chain.Read(1, i));
    REQUIRE(chain.Read(0, i) == chain.Read(2, i));
  }
}

}  // namespace
}  // namespace penstock::chunkserver

#include "chunkserver/scrub/copy_repair.h"

#include <absl/strings/str_cat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "chunkserver/chain/chunk_wire.h"
#include "common/checksum.h"
#include "tests/chunkserver/control/fake_cluster.h"
#include "tests/chunkserver/service/chain_fixture.h"

namespace penstock::chunkserver {
namespace {

std::string Data(uint32_t index) { return absl::StrCat("the content of chunk ", index, "."); }

// A chain with damaged copies that somebody has met.
struct Damaged : ChainFixture {
  explicit Damaged(int members) : ChainFixture(members) {
    for (uint32_t i = 0; i < 4; ++i) REQUIRE(Write(i, Data(i)).code() == 0);
  }
  void Break(int at, uint32_t index) {
    Damage(at, Data(index));
    REQUIRE(Read(at, index).rfind("<error", 0) == 0);
  }
  bool Sound(int at, uint32_t index) {
    const auto info = member(at).store().Stat(Key(index));
    return info.ok() && !info->quarantined;
  }
};

TEST_CASE("a damaged copy is mended wherever in the chain it is", "[chunkserver][scrub]") {
  for (int at = 0; at < 3; ++at) {
    INFO("member " << at);
    Damaged chain(3);
    chain.Break(at, 1);
    const ChunkVersion before = FromWire(chain.Stat(at, 1).version());
    REQUIRE(chain.member(at).store().damaged_chunks() == 1);
    chain.StartRepair(at);
    REQUIRE(Eventually([&] { return chain.Sound(at, 1); }));
    REQUIRE(chain.Read(at, 1) == Data(1));
    REQUIRE(FromWire(chain.Stat(at, 1, true).version()) == before);
    REQUIRE(Eventually([&] { return chain.member(at).targets->all()[0]->repaired == 1; }));
    REQUIRE(chain.member(at).store().damaged_chunks() == 0);
    REQUIRE(chain.Write(1, "it goes on").code() == 0);
  }
}

TEST_CASE("a write that needs the damaged bytes is tried again, and comes through",
          "[chunkserver][scrub]") {
  for (int at = 0; at < 3; ++at) {
    INFO("member " << at);
    Damaged chain(3);
    chain.Damage(at, Data(1));
    const auto write = chain.MakeWrite(1, "NEW", 4);
    const auto aborted = static_cast<uint32_t>(absl::StatusCode::kAborted);
    wire::ChunkResult result = chain.Write(write, "NEW");
    REQUIRE((result.code() == 0 || result.code() == aborted));
    chain.StartRepair(at);
    REQUIRE(Eventually([&] {
      result = chain.Write(write, "NEW");
      return result.code() == 0;
    }));
    std::string wanted = Data(1);
    wanted.replace(4, 3, "NEW");
    for (int member = 0; member < 3; ++member) {
      REQUIRE(Eventually([&] { return chain.Read(member, 1) == wanted; }));
    }
    REQUIRE(chain.member(at).store().damaged_chunks() == 0);
  }
}

TEST_CASE("when every copy is bad nothing is deleted, and readers are told",
          "[chunkserver][scrub]") {
  Damaged chain(2);
  chain.Break(0, 2);
  chain.Break(1, 2);
  for (int at : {0, 1}) chain.StartRepair(at);
  Target& head = *chain.member(0).targets->all()[0];
  REQUIRE(Eventually([&] {
    return head.lost.size() == 1 && chain.member(1).targets->all()[0]->lost.size() == 1;
  }));
  for (int at : {0, 1}) {
    REQUIRE(chain.Read(at, 2).rfind("<error", 0) == 0);
    REQUIRE(chain.Stat(at, 2).quarantined());
    REQUIRE(!chain.Stat(at, 2).absent());
  }
  const auto data_loss = static_cast<uint32_t>(absl::StatusCode::kDataLoss);
  REQUIRE(chain.Write(2, "part", 3).code() == data_loss);
  REQUIRE(chain.Sync(0, 2, chain.Stat(0, 2).version()).code() == data_loss);
  // Written anew as a whole it is well again, and so is the account of it.
  REQUIRE(chain.Write(2, std::string(500, 'n')).code() == 0);
  REQUIRE(chain.Read(1, 2) == std::string(500, 'n'));
  REQUIRE(Eventually([&] { return head.lost.size() == 0; }));
}

TEST_CASE("one that knows no other member waits for one, and is mended then",
          "[chunkserver][scrub]") {
  Damaged chain(2);
  chain.NewEpoch({0});
  chain.Break(0, 1);
  chain.StartRepair(0);
  Target& head = *chain.member(0).targets->all()[0];
  REQUIRE(Eventually([&] { return head.lost.size() == 1; }));
  chain.NewEpoch({0, 1});  // as if its copy had been in sync all the while
  REQUIRE(Eventually([&] { return chain.Sound(0, 1); }));
  REQUIRE(Eventually([&] { return head.lost.size() == 0; }));
  REQUIRE(chain.Read(0, 1) == Data(1));
}

TEST_CASE("a member that holds another version is not copied from", "[chunkserver][scrub]") {
  Damaged chain(2);
  const ChunkVersion version = FromWire(chain.Stat(1, 1).version());
  REQUIRE(chain.member(0).store().Drop(chain.Key(1)).ok());
  const std::string other = "an older version";
  REQUIRE(chain.member(0)
              .store()
              .Adopt(chain.Key(1), {{1, version.sequence - 1}, other, Crc32c(other), {}})
              .ok());
  chain.Break(1, 1);
  chain.StartRepair(1);
  absl::SleepFor(absl::Milliseconds(200));  // some tries
  REQUIRE(!chain.Sound(1, 1));
  REQUIRE(chain.member(1).targets->all()[0]->lost.size() == 0);  // nobody may take it for lost
  REQUIRE(FromWire(chain.Stat(1, 1).version()) == version);
}

TEST_CASE("a damaged copy with a write under way is mended, and the write comes to its end",
          "[chunkserver][scrub]") {
  // The head has staged an append, and its successor has committed it, or has not heard of it.
  for (bool committed_behind : {true, false}) {
    INFO("committed behind " << committed_behind);
    Damaged chain(2);
    const ChunkVersion before = FromWire(chain.Stat(0, 1).version());
    const ChunkVersion next{before.epoch, before.sequence + 1000};
    const std::string more = " And more.";
    ChunkChange change;
    change.offset = static_cast<uint32_t>(Data(1).size());
    change.data = more;
    change.crc32c = Crc32c(more);
    for (int at : {0, 1}) {
      if (at == 1 && !committed_behind) continue;
      REQUIRE(chain.member(at).store().Stage(chain.Key(1), next, change).ok());
    }
    if (committed_behind) REQUIRE(chain.member(1).store().Commit(chain.Key(1), next).ok());
    chain.Damage(0, Data(1));
    REQUIRE(!chain.member(0).store().Verify(chain.Key(1)).ok());
    REQUIRE(chain.Stat(0, 1).has_pending());
    chain.member(0).settler->Start();
    chain.StartRepair(0);
    REQUIRE(Eventually([&] { return chain.Sound(0, 1); }));
    REQUIRE(Eventually(
        [&] { return chain.Read(0, 1) == Data(1) + more && chain.Read(1, 1) == Data(1) + more; }));
    REQUIRE(FromWire(chain.Stat(0, 1, true).version()) == next);
    REQUIRE(chain.Write(1, "it goes on").code() == 0);
  }
}

TEST_CASE("lost chunks, as many as are remembered, do not keep others from being mended",
          "[chunkserver][scrub]") {
  Damaged chain(2);
  for (uint32_t index : {0, 1, 2}) {
    chain.Break(0, index);
    chain.Break(1, index);
  }
  chain.StartRepair(0, /*most_attempts=*/1);
  REQUIRE(Eventually([&] { return chain.member(0).targets->all()[0]->lost.size() == 3; }));
  chain.Break(0, 3);
  REQUIRE(Eventually([&] { return chain.Sound(0, 3); }));
}

TEST_CASE("copies are mended while writes go on, and no write is lost", "[chunkserver][scrub]") {
  ChainFixture chain(3);
  for (int at = 0; at < 3; ++at) chain.StartRepair(at);
  for (uint32_t round = 0; round < 9; ++round) {
    const std::string data = absl::StrCat("round ", round, " of many: 000 writes came through");
    REQUIRE(chain.Write(round, data).code() == 0);
    chain.Damage(static_cast<int>(round % 3), data);
    std::atomic<bool> stop{false};
    std::string last;
    std::thread writer([&] {
      for (int n = 0; !stop || n < 5; ++n) {
        int tries = 0;
        const std::string number = absl::StrCat(100 + n % 900);
        const auto write = chain.MakeWrite(round, number, 17);
        while (chain.Write(write, number).code() != 0 && tries++ < 10000) {
        }
        last = number;
      }
    });
    const bool mended = Eventually([&] {
      for (int at = 0; at < 3; ++at) {
        if (!chain.member(at).store().Verify(chain.Key(round)).ok()) return false;
      }
      return true;
    });
    stop = true;
    writer.join();
    REQUIRE(mended);
    std::string wanted = data;
    wanted.replace(17, 3, last);
    REQUIRE(chain.Write(round, "!", static_cast<uint32_t>(data.size())).code() == 0);
    for (int at = 0; at < 3; ++at) REQUIRE(chain.Read(at, round) == wanted + "!");
  }
}

}  // namespace
}  // namespace penstock::chunkserver

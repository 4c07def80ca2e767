#include "common/net/rdma_credits.h"

#include <catch2/catch.hpp>
#include <deque>
#include <random>

#include "common/net/rdma_spread.h"

namespace penstock::net {
namespace {

TEST_CASE("no side sends more than the other has receives for", "[net][rdma_credits]") {
  RdmaCredits credits(16, 4);
  for (int i = 0; i < 3; ++i) {
    REQUIRE(credits.MaySendData());
    credits.TakeForSend();
  }
  REQUIRE_FALSE(credits.MaySendData());
  REQUIRE(credits.MaySendUpdate());  // the last credit is for an update
  credits.TakeForSend();
  REQUIRE_FALSE(credits.MaySendUpdate());
  REQUIRE(credits.OnReceived(4).ok());
  REQUIRE(credits.MaySendData());
  REQUIRE_FALSE(credits.OnReceived(1).ok());  // more than it can have
}

TEST_CASE("what was posted again is told once, at half of all at the latest",
          "[net][rdma_credits]") {
  RdmaCredits credits(8, 8);
  for (int i = 0; i < 3; ++i) credits.OnReposted();
  REQUIRE_FALSE(credits.UpdateDue());
  credits.OnReposted();
  REQUIRE(credits.UpdateDue());
  REQUIRE(credits.TakeForSend() == 4);
  REQUIRE_FALSE(credits.UpdateDue());
  REQUIRE(credits.TakeForSend() == 0);
}

// Two sides that send as fast as they may, over a wire of any order of events: neither ever sends
// without a credit, and both get everything through.
TEST_CASE("two busy sides never wait for each other for ever", "[net][rdma_credits]") {
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const int slots[2] = {4 + static_cast<int>(random() % 13), 4 + static_cast<int>(random() % 13)};
    RdmaCredits credits[2] = {{slots[0], slots[1]}, {slots[1], slots[0]}};
    struct Message {
      uint16_t credits;
      bool data;
    };
    std::deque<Message> wire[2];  // to 0, to 1
    int held[2] = {0, 0};         // received data not consumed yet
    int to_send[2] = {200, 200}, got[2] = {0, 0};
    for (int step = 0; step < 100'000 && (got[0] < 200 || got[1] < 200); ++step) {
      const size_t me = random() % 2, other = 1 - me;
      const auto send = [&](bool data) {
        wire[other].push_back({credits[me].TakeForSend(), data});
        // Never more under way, or held there, than receives are posted.
        REQUIRE(static_cast<int>(wire[other].size()) + held[other] <= slots[other]);
      };
      switch (random() % 3) {
        case 0:
          if (to_send[me] > 0 && credits[me].MaySendData()) send(true), --to_send[me];
          break;
        case 1:
          if (wire[me].empty()) break;
          REQUIRE(credits[me].OnReceived(wire[me].front().credits).ok());
          wire[me].front().data ? void(++held[me]) : credits[me].OnReposted();
          wire[me].pop_front();
          break;
        default:
          if (held[me] > 0) --held[me], ++got[me], credits[me].OnReposted();
          if (credits[me].UpdateDue() && credits[me].MaySendUpdate()) send(false);
      }
    }
    REQUIRE(got[0] == 200);
    REQUIRE(got[1] == 200);
  }
}

TEST_CASE("transfers cover both lists in order", "[net][rdma_spread]") {
  std::string a(10, 'a'), b(1, 'b'), c(25, 'c');
  const std::vector<iovec> local = {{a.data(), 10}, {b.data(), 0}, {b.data(), 1}, {c.data(), 25}};
  const std::vector<RemotePiece> remote = {{1000, 4, 7}, {2000, 40, 8}};
  const auto transfers = SpreadTransfers(local, remote, 33, 10);
  uint64_t total = 0;
  for (const RdmaTransfer& each : transfers) {
    REQUIRE(each.bytes > 0);
    REQUIRE(each.bytes <= 10);
    total += each.bytes;
  }
  REQUIRE(total == 33);
  REQUIRE(transfers[0].local == a.data());
  REQUIRE(transfers[0].remote == 1000);
  REQUIRE(transfers[0].bytes == 4);
  REQUIRE(transfers[1].local == a.data() + 4);
  REQUIRE(transfers[1].remote == 2000);
  REQUIRE(transfers[1].bytes == 6);
  REQUIRE(transfers[2].local == b.data());
  REQUIRE(transfers[2].part == 2);
  REQUIRE(transfers[2].remote_key == 8);
  REQUIRE(transfers.back().local == c.data() + 20);
  REQUIRE(transfers.back().bytes == 2);
  REQUIRE(SpreadTransfers(local, remote, 0, 10).empty());
}

}  // namespace
}  // namespace penstock::net

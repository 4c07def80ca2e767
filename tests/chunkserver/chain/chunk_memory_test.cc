#include "chunkserver/chain/chunk_memory.h"

#include <catch2/catch.hpp>

namespace penstock::chunkserver {
namespace {

class HandClock : public Clock {
 public:
  absl::Time Now() override { return absl::UnixEpoch() + now; }
  absl::Duration SinceBoot() override { return now; }
  absl::Duration now;
};

ChunkKey KeyOf(uint32_t index) { return ChunkKey{index, ContentId(1), index}; }

TEST_CASE("the floor only rises and each channel keeps its newest write", "[chain][memory]") {
  HandClock clock;
  ChunkMemory memory(&clock);
  const WriteStamp five{SessionId(1), 1, 5};
  const WriteStamp four{SessionId(1), 1, 4};
  memory.Remember(KeyOf(1), {2, 9}, {{ChannelRecord{five, {2, 9}}}});
  memory.Remember(KeyOf(1), {2, 3}, {{ChannelRecord{four, {2, 3}}}});
  const auto entry = memory.Recall(KeyOf(1));
  REQUIRE(entry.floor == ChunkVersion{2, 9});
  REQUIRE(entry.channels.size() == 1);
  REQUIRE(entry.channels[0].stamp == five);
  REQUIRE(!memory.Recall(KeyOf(2)).floor.valid());
}

TEST_CASE("old entries are forgotten, used ones stay", "[chain][memory]") {
  HandClock clock;
  ChunkMemory memory(&clock, absl::Minutes(10));
  memory.Remember(KeyOf(1), {1, 1}, {});
  memory.Remember(KeyOf(2), {1, 1}, {});
  clock.now += absl::Minutes(9);
  memory.Remember(KeyOf(2), {1, 2}, {});
  clock.now += absl::Minutes(2);
  memory.Remember(KeyOf(3), {1, 1}, {});
  REQUIRE(!memory.Recall(KeyOf(1)).floor.valid());
  REQUIRE(memory.Recall(KeyOf(2)).floor == ChunkVersion{1, 2});
}

TEST_CASE("the chunks of a dead content stay dead, for as long as requests may come late",
          "[chain][memory]") {
  HandClock clock;
  ChunkMemory memory(&clock, absl::Minutes(10), 3);
  memory.RememberDead(KeyOf(1).content);
  memory.Remember(KeyOf(1), {1, 1}, {});
  memory.Forget(KeyOf(1), 1);
  REQUIRE(memory.Recall(KeyOf(1)).dead);
  REQUIRE(!memory.IsDead(ContentId(99)));
  clock.now += absl::Minutes(6);
  memory.RememberDead(KeyOf(1).content);  // ordered once more
  clock.now += absl::Minutes(6);
  memory.RememberDead(ContentId(100));
  REQUIRE(memory.IsDead(KeyOf(1).content));
  for (uint64_t content : {101, 102, 103}) memory.RememberDead(ContentId(content));
  REQUIRE(!memory.IsDead(KeyOf(1).content));  // bounded
  REQUIRE(memory.IsDead(ContentId(103)));
}

TEST_CASE("the channels of one chunk are bounded, the last used ones stay", "[chain][memory]") {
  HandClock clock;
  ChunkMemory memory(&clock);
  const auto use = [&](uint32_t channel, uint64_t sequence) {
    const WriteStamp stamp{SessionId(1), channel, sequence};
    memory.Remember(KeyOf(1), {}, {{ChannelRecord{stamp, {}}}});
  };
  for (uint32_t channel = 1; channel <= 1000; ++channel) {
    use(channel, 1);
    use(7, channel);
  }
  const auto channels = memory.Recall(KeyOf(1)).channels;
  REQUIRE(channels.size() == ChunkMemory::kMaxChannels);
  REQUIRE(channels.back().stamp == WriteStamp{SessionId(1), 7, 1000});
  REQUIRE(channels[channels.size() - 2].stamp == WriteStamp{SessionId(1), 1000, 1});
}

TEST_CASE("the number of entries is bounded", "[chain][memory]") {
  HandClock clock;
  ChunkMemory memory(&clock, absl::Minutes(10), 100);
  for (uint32_t i = 0; i < 1000; ++i) memory.Remember(KeyOf(i), {1, 1}, {});
  REQUIRE(memory.size() == 100);
  REQUIRE(memory.Recall(KeyOf(999)).floor.valid());
}

}  // namespace
}  // namespace penstock::chunkserver

#include "chunkserver/chain/chunk_locks.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>
#include <vector>

namespace penstock::chunkserver {
namespace {

const ChunkLockId kId{TargetId(1), ChunkKey{1, ContentId(2), 3}};

TEST_CASE("one holder at a time, and the lock leaves no trace", "[chain][locks]") {
  ChunkLocks locks;
  std::atomic<int> inside{0};
  std::atomic<int> worst{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 200; ++j) {
        auto place = locks.Lock(kId, absl::Seconds(10));
        if (!place.ok()) continue;
        worst = std::max(worst.load(), ++inside);
        --inside;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  REQUIRE(worst == 1);
  REQUIRE(locks.held() == 0);
}

TEST_CASE("a wait ends at its deadline and gives its place up", "[chain][locks]") {
  ChunkLocks locks;
  auto held = locks.Lock(kId, absl::Seconds(1));
  REQUIRE(held.ok());
  REQUIRE(absl::IsAborted(locks.Lock(kId, absl::Milliseconds(20)).status()));
  held->Release();
  REQUIRE(locks.Lock(kId, absl::ZeroDuration()).ok());
}

TEST_CASE("more than the limit do not wait", "[chain][locks]") {
  ChunkLocks locks(0);
  auto held = locks.Lock(kId, absl::Seconds(1));
  REQUIRE(absl::IsAborted(locks.Lock(kId, absl::Seconds(10)).status()));
  REQUIRE(locks.Lock(ChunkLockId{TargetId(2), kId.key}, absl::Seconds(1)).ok());
}

}  // namespace
}  // namespace penstock::chunkserver

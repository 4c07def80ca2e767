#include <catch2/catch.hpp>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "common/net/payload_budget.h"
#include "common/net/payload_buffer.h"

namespace penstock::net {
namespace {

TEST_CASE("payload buffers are aligned, writable and movable", "[net][payload]") {
  for (size_t size : {1, 4096, 4097, 65535, 65536, 65537, 1 << 20, (1 << 20) + 1}) {
    PayloadBuffer buffer = PayloadBuffer::Allocate(size);
    REQUIRE(buffer.size() == size);
    REQUIRE(reinterpret_cast<uintptr_t>(buffer.data()) % 4096 == 0);
    std::memset(buffer.data(), 'x', size);
    PayloadBuffer moved = std::move(buffer);
    REQUIRE(buffer.data() == nullptr);
    REQUIRE(buffer.size() == 0);
    REQUIRE(moved.span().back() == 'x');
    moved.Truncate(size / 2);
    REQUIRE(moved.span().size() == size / 2);
    moved = PayloadBuffer::Allocate(3);
    REQUIRE(moved.size() == 3);
  }
  REQUIRE(PayloadBuffer::Allocate(0).data() == nullptr);
}

TEST_CASE("payload buffers may be freed on other threads", "[net][payload]") {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 500; ++i) {
        PayloadBuffer a = PayloadBuffer::Allocate(size_t{1} << (12 + (i + t) % 8));
        a.data()[0] = 'x';
        if (i % 50 == 0) std::thread([b = std::move(a)] {}).join();
      }
    });
  }
  for (auto& t : threads) t.join();
}

TEST_CASE("the payload budget serves in order of arrival", "[net][payload]") {
  PayloadBudget budget(100);
  std::vector<int> granted;
  REQUIRE(budget.Reserve(60, [] {}));
  REQUIRE_FALSE(budget.Reserve(90, [&] { granted.push_back(1); }));
  // Would fit, but must not overtake: a large payload would wait for ever.
  REQUIRE_FALSE(budget.Reserve(10, [&] { granted.push_back(2); }));
  REQUIRE(granted.empty());
  budget.Release(60);
  REQUIRE(granted == std::vector<int>{1, 2});
  REQUIRE(budget.free_bytes() == 0);
  budget.Release(100);
  REQUIRE(budget.free_bytes() == 100);
}

}  // namespace
}  // namespace penstock::net

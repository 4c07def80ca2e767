#include "common/worker_pool.h"

#include <absl/synchronization/notification.h>
#include <catch2/catch.hpp>

#include <atomic>

using namespace penstock;

TEST_CASE("a worker pool runs everything that it took before it stops", "[common][worker_pool]") {
  WorkerPool pool({.name = "test", .threads = 3, .queue_limit = 1000});
  pool.Start();
  std::atomic<int> ran{0};
  int taken = 0;
  for (int i = 0; i < 500; ++i) taken += pool.Post([&ran] { ++ran; });
  pool.Stop();
  REQUIRE(ran == taken);
  REQUIRE(taken == 500);
  REQUIRE_FALSE(pool.Post([] {}));
}

TEST_CASE("a full queue refuses instead of growing", "[common][worker_pool]") {
  WorkerPool pool({.name = "test", .threads = 1, .queue_limit = 2});
  pool.Start();
  absl::Notification started, release;
  REQUIRE(pool.Post([&] {
    started.Notify();
    release.WaitForNotification();
  }));
  started.WaitForNotification();
  REQUIRE(pool.Post([] {}));
  REQUIRE(pool.Post([] {}));
  REQUIRE_FALSE(pool.Post([] {}));
  release.Notify();
}

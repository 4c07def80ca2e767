// Many threads at once; most useful under the sanitizers.
#include <random>

#include "common/worker_pool.h"
#include "tests/common/net/rpc_fixture.h"

namespace penstock::net {
namespace {

TEST_CASE("many threads share few connections and every answer is the right one", "[net][hammer]") {
  RpcFixture fixture;
  RpcClientOptions options;
  options.max_connections = 4;
  auto client = fixture.NewClient(options);
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 12; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t + 1);
      for (int i = 0; i < 150; ++i) {
        const size_t size = random() % 4 == 0 ? random() % 300'000 : random() % 200;
        if (!RpcFixture::CallEcho(*client, Pattern(size, random())).ok()) ++failed;
      }
    });
  }
  for (auto& t : threads) t.join();
  REQUIRE(failed == 0);
  REQUIRE(client->open_connections() <= 4);
  REQUIRE(fixture.server->counters().accepted <= 4);
  REQUIRE(fixture.handled == 12 * 150);
}

TEST_CASE("calls, abandoned calls and interrupts mix without mixing up answers", "[net][hammer]") {
  RpcFixture fixture;
  RpcClientOptions options;
  options.max_connections = 6;
  auto client = fixture.NewClient(options);
  std::atomic<int> wrong{0};
  std::atomic<bool> done{false};
  std::thread answering([&] {
    while (!done) {
      fixture.AnswerParked();
      absl::SleepFor(absl::Milliseconds(1));
    }
  });
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t + 100);
      for (int i = 0; i < 100; ++i) {
        wire::GetattrRequest request;
        request.set_ino((uint64_t{t} << 32) | static_cast<uint64_t>(i));
        Interrupt interrupt;
        const int what = static_cast<int>(random() % 4);
        CallOptions call_options{.timeout = what == 0 ? absl::Microseconds(500) : absl::Seconds(20),
                                 .interrupt = &interrupt};
        auto call = client->Start(wire::METHOD_GETATTR, request, call_options);
        if (!call.ok() || what == 1) continue;  // 1: never finished
        if (what == 2) interrupt.Fire();
        wire::EntryResponse response;
        const absl::Status status = call->Finish(&response);
        if (status.ok() && response.entry().attr().ino() != request.ino()) ++wrong;
        if (what == 3 && !status.ok()) ++wrong;
      }
    });
  }
  for (auto& t : threads) t.join();
  done = true;
  answering.join();
  REQUIRE(wrong == 0);
}

TEST_CASE("stopping while threads call leaves only errors that may be retried", "[net][hammer]") {
  for (int round = 0; round < 5; ++round) {
    RpcFixture fixture;
    auto client = fixture.NewClient();
    std::atomic<bool> done{false};
    std::atomic<int> wrong{0}, answered{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 6; ++t) {
      threads.emplace_back([&] {
        while (!done) {
          const absl::Status status = RpcFixture::CallEcho(*client, std::string(20'000, 'x'));
          if (status.ok()) ++answered;
          if (!status.ok() && !absl::IsUnavailable(status)) ++wrong;
        }
      });
    }
    while (answered < 200) std::this_thread::yield();
    fixture.server->Stop(absl::Seconds(5));
    done = true;
    for (auto& t : threads) t.join();
    REQUIRE(wrong == 0);
    REQUIRE(fixture.server->connections() == 0);
  }
}

}  // namespace
}  // namespace penstock::net

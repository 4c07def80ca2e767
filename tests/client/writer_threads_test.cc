#include "client/writer_threads.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

#include "tests/testing/must.h"

namespace penstock::client {
namespace {

TEST_CASE("a child that wrote nothing does not wait, the writer's process does",
          "[client][writer_threads]") {
  WriterThreads writers;
  writers.Add(static_cast<uint64_t>(gettid()));
  REQUIRE(writers.MayHaveWritten(static_cast<uint64_t>(gettid())));
  std::thread([&] {
    testing::Must(writers.MayHaveWritten(static_cast<uint64_t>(gettid())));
  }).join();
  int hold[2];
  REQUIRE(pipe(hold) == 0);
  const pid_t child = fork();
  if (child == 0) {
    char c;
    close(hold[1]);
    _exit(read(hold[0], &c, 1) < 0 ? 1 : 0);
  }
  REQUIRE_FALSE(writers.MayHaveWritten(static_cast<uint64_t>(child)));
  close(hold[1]);
  close(hold[0]);
  waitpid(child, nullptr, 0);
}

TEST_CASE("what is not certain counts as written", "[client][writer_threads]") {
  WriterThreads ended;
  uint64_t thread = 0;
  std::thread([&] { thread = static_cast<uint64_t>(gettid()); }).join();
  ended.Add(thread);
  REQUIRE(ended.MayHaveWritten(static_cast<uint64_t>(gettid())));
  WriterThreads unknown;
  unknown.Add(0);
  REQUIRE(unknown.MayHaveWritten(1));
  WriterThreads many;
  for (uint64_t t = 1; t < 100; ++t) many.Add(t);
  REQUIRE(many.MayHaveWritten(1234567));
}

}  // namespace
}  // namespace penstock::client

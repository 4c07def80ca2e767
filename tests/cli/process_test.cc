#include "cli/process.h"

#include <unistd.h>

#include <catch2/catch.hpp>

#include "common/file.h"
#include "tests/cli/temporary_directory.h"

namespace penstock::cli {

TEST_CASE("a pid file names its process by pid, start and boot", "[cli][process]") {
  TemporaryDirectory dir;
  auto self = IdentifyProcess(getpid());
  REQUIRE(self.ok());
  REQUIRE(self->start_ticks > 0);
  REQUIRE(WritePidFile(dir / "a.pid", *self).ok());
  REQUIRE(RunningProcess(dir / "a.pid") == *self);
  REQUIRE(ParsePidFile(PidFileText(*self)) == *self);
}

TEST_CASE("a recycled pid is not taken for ours", "[cli][process]") {
  TemporaryDirectory dir;
  ProcessId other = *IdentifyProcess(getpid());
  other.start_ticks += 1;
  REQUIRE_FALSE(IsRunning(other));
  REQUIRE(WritePidFile(dir / "a.pid", other).ok());
  REQUIRE_FALSE(RunningProcess(dir / "a.pid").has_value());
  other.start_ticks -= 1;
  other.boot_id = "another boot";
  REQUIRE_FALSE(IsRunning(other));
}

TEST_CASE("a pid file that makes no sense names nobody", "[cli][process]") {
  for (const char* text : {"", "1", "1 2", "x 2 b", "-5 2 b", "1 2 b c"}) {
    REQUIRE_FALSE(ParsePidFile(text).has_value());
  }
  REQUIRE_FALSE(RunningProcess("/nowhere/a.pid").has_value());
}

TEST_CASE("a daemon is started, found by its pid file and stopped", "[cli][process]") {
  TemporaryDirectory dir;
  const DaemonSpec spec{"/bin/sh", {"-c", "echo hello; exec sleep 100"}, dir / "log", dir / "pid"};
  auto process = StartDaemon(spec);
  REQUIRE(process.ok());
  REQUIRE(RunningProcess(dir / "pid") == *process);
  while (LastLines(dir / "log", 1).empty()) usleep(1000);
  auto killed = StopProcess(*process, absl::Seconds(10));
  REQUIRE(killed.ok());
  REQUIRE_FALSE(*killed);
  REQUIRE_FALSE(RunningProcess(dir / "pid").has_value());
  REQUIRE(LastLines(dir / "log", 5) == "    hello\n");
  REQUIRE_THAT(ExitReason(process->pid), Catch::Contains("signal 15"));
}

TEST_CASE("a daemon that ignores SIGTERM is killed", "[cli][process]") {
  TemporaryDirectory dir;
  auto process = StartDaemon({"/bin/sh",
                              {"-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"},
                              dir / "log",
                              dir / "pid"});
  REQUIRE(process.ok());
  while (LastLines(dir / "log", 1).empty()) usleep(1000);
  auto killed = StopProcess(*process, absl::Milliseconds(200));
  REQUIRE(killed.ok());
  REQUIRE(*killed);
}

TEST_CASE("a program that cannot be run is an error, and leaves no pid file", "[cli][process]") {
  TemporaryDirectory dir;
  auto process = StartDaemon({"/no/such/program", {}, dir / "log", dir / "pid"});
  REQUIRE_THAT(std::string(process.status().message()), Catch::Contains("/no/such/program"));
  REQUIRE_FALSE(*PosixFileSystem()->Exists(dir / "pid"));
}

TEST_CASE("a program's output and exit code come back", "[cli][process]") {
  auto output = RunProgram({"/bin/sh", "-c", "echo out; echo err >&2; exit 3"});
  REQUIRE(output.ok());
  REQUIRE(output->exit_code == 3);
  REQUIRE(output->text == "out\nerr\n");
  REQUIRE_FALSE(RunProgram({"/no/such/program"}).ok());
}

}  // namespace penstock::cli

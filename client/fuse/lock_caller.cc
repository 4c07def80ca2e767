#include "client/fuse/lock_caller.h"

#include <absl/time/clock.h>
#include <fcntl.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace penstock::client {
namespace {

// A thread that has just sent its request may not sleep yet; then its call cannot be seen.
constexpr int kLooks = 20;
constexpr absl::Duration kBetweenLooks = absl::Microseconds(200);

}  // namespace

bool WaitsForOpenFileLock(uint64_t thread) {
  if (thread == 0) return false;
  const std::string path = "/proc/" + std::to_string(thread) + "/syscall";
  for (int look = 0; look < kLooks; ++look) {
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line)) return false;
    std::istringstream words(line);
    std::string call, descriptor, command;
    if (words >> call >> descriptor >> command && call != "running") {
      return std::strtoull(command.c_str(), nullptr, 16) == F_OFD_SETLKW;
    }
    absl::SleepFor(kBetweenLooks);
  }
  return false;
}

}  // namespace penstock::client

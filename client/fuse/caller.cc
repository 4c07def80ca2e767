#include "client/fuse/caller.h"

#include <absl/time/clock.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

namespace penstock::client {
namespace {

// A thread that has just sent its request may not sleep yet; then its call cannot be seen.
constexpr int kLooks = 20;
constexpr uint64_t kPage = 4096;
constexpr absl::Duration kBetweenLooks = absl::Microseconds(200);

struct SystemCall {
  long number = -1;
  std::array<uint64_t, 5> arguments = {};
};

std::optional<SystemCall> CallOf(uint64_t thread) {
  if (thread == 0) return std::nullopt;
  const std::string path = "/proc/" + std::to_string(thread) + "/syscall";
  for (int look = 0; look < kLooks; ++look) {
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line)) return std::nullopt;
    std::istringstream words(line);
    SystemCall call;
    if (words >> call.number >> std::hex) {
      for (uint64_t& argument : call.arguments) words >> argument;
      if (words) return call;
    }
    absl::SleepFor(kBetweenLooks);  // "running"
  }
  return std::nullopt;
}

// What follows the last slash of the path at `address` of the thread's memory.
std::optional<std::string> LastPart(uint64_t thread, uint64_t address) {
  std::string path;
  // Page by page, for what follows the path need not be there.
  while (path.size() < PATH_MAX) {
    char part[PATH_MAX];
    const uint64_t at = address + path.size();
    iovec here = {part, std::min<uint64_t>(sizeof(part), kPage - at % kPage)};
    iovec there = {reinterpret_cast<void*>(at), here.iov_len};  // NOLINT(performance-no-int-to-ptr)
    const ssize_t n = process_vm_readv(static_cast<pid_t>(thread), &here, 1, &there, 1, 0);
    if (n <= 0) return std::nullopt;
    const std::string_view got(part, static_cast<size_t>(n));
    const size_t end = got.find('\0');
    path.append(got.substr(0, end));
    if (end == std::string_view::npos) continue;
    path.erase(path.find_last_not_of('/') + 1);
    return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
  }
  return std::nullopt;
}

}  // namespace

bool WaitsForOpenFileLock(uint64_t thread) {
  const auto call = CallOf(thread);
  return call && call->arguments[1] == F_OFD_SETLKW;
}

std::optional<RenameCall> RenameOf(uint64_t thread) {
  const auto call = CallOf(thread);
  if (!call) return std::nullopt;
  size_t from = 1, to = 3;
#ifdef SYS_rename
  if (call->number == SYS_rename) from = 0, to = 1;
#endif
  if (to == 3 && call->number != SYS_renameat && call->number != SYS_renameat2) return std::nullopt;
  auto from_name = LastPart(thread, call->arguments[from]);
  auto to_name = LastPart(thread, call->arguments[to]);
  if (!from_name || !to_name) return std::nullopt;
  const bool no_replace =
      call->number == SYS_renameat2 && (call->arguments[4] & RENAME_NOREPLACE) != 0;
  return RenameCall{*std::move(from_name), *std::move(to_name), no_replace};
}

}  // namespace penstock::client

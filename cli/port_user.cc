#include "cli/port_user.h"

#include <absl/container/flat_hash_set.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include <filesystem>
#include <fstream>

namespace penstock::cli {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kListening = "0A";  // TCP_LISTEN, as /proc/net/tcp has it

// The sockets that listen on `port`, as links in /proc/PID/fd name them.
void AddListeners(const char* table, uint16_t port, absl::flat_hash_set<std::string>& sockets) {
  const std::string suffix = absl::StrFormat(":%04X", port);
  std::ifstream in(table);
  for (std::string line; std::getline(in, line);) {
    // slot, local address, remote address, state, queues, timer, retransmits, uid, timeout, inode
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (fields.size() < 10 || fields[3] != kListening) continue;
    if (absl::EndsWith(fields[1], suffix)) sockets.insert(absl::StrCat("socket:[", fields[9], "]"));
  }
}

bool HasOneOf(const fs::path& process, const absl::flat_hash_set<std::string>& sockets) {
  std::error_code error;
  for (fs::directory_iterator it(process / "fd", error), end; !error && it != end;
       it.increment(error)) {
    std::error_code gone;
    if (sockets.contains(fs::read_symlink(it->path(), gone).string())) return true;
  }
  return false;
}

}  // namespace

std::string PortUser(uint16_t port) {
  absl::flat_hash_set<std::string> sockets;
  AddListeners("/proc/net/tcp", port, sockets);
  AddListeners("/proc/net/tcp6", port, sockets);
  if (sockets.empty()) return "";
  std::error_code error;
  for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    int pid = 0;
    if (!absl::SimpleAtoi(it->path().filename().string(), &pid)) continue;
    if (!HasOneOf(it->path(), sockets)) continue;
    std::error_code hidden;  // the program's whole name; /proc/PID/comm cuts it after 15 bytes
    const fs::path program = fs::read_symlink(it->path() / "exe", hidden);
    const std::string name = program.filename().string();
    // Linux adds this when the file was replaced since.
    return absl::StrCat(absl::StripSuffix(name, " (deleted)"), " (pid ", pid, ")");
  }
  return "";
}

}  // namespace penstock::cli

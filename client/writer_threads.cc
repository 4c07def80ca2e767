#include "client/writer_threads.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "common/clock.h"

namespace penstock::client {
namespace {

struct ThreadFacts {
  uint64_t process = 0;
  absl::Duration began;  // since boot
};

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::optional<ThreadFacts> FactsOf(uint64_t thread) {
  const std::string dir = "/proc/" + std::to_string(thread);
  const std::string status = ReadAll(dir + "/status");
  const std::string stat = ReadAll(dir + "/stat");
  const size_t tgid = status.find("\nTgid:\t");
  const size_t name_end = stat.rfind(')');  // names may hold anything
  if (tgid == std::string::npos || name_end == std::string::npos) return std::nullopt;
  ThreadFacts facts;
  facts.process = std::strtoull(status.c_str() + tgid + 7, nullptr, 10);
  std::istringstream fields(stat.substr(name_end + 1));
  std::string field;
  for (int i = 3; i <= 22 && fields >> field; ++i) {  // 22: start time in ticks
  }
  facts.began = absl::Seconds(static_cast<double>(std::strtoull(field.c_str(), nullptr, 10)) /
                              static_cast<double>(sysconf(_SC_CLK_TCK)));
  return facts;
}

}  // namespace

void WriterThreads::Add(uint64_t thread) {
  absl::MutexLock lock(&mu_);
  if (unknown_) return;
  const auto same = [&](const Writer& w) { return w.thread == thread; };
  if (std::any_of(writers_.begin(), writers_.end(), same)) return;
  if (thread == 0 || writers_.size() == kRemembered) {
    unknown_ = true;
    return;
  }
  writers_.push_back({thread, SystemClock()->SinceBoot()});
}

bool WriterThreads::MayHaveWritten(uint64_t thread) const {
  std::vector<Writer> writers;
  {
    absl::MutexLock lock(&mu_);
    if (unknown_ || thread == 0) return true;
    writers = writers_;
  }
  const auto same = [&](const Writer& w) { return w.thread == thread; };
  if (std::any_of(writers.begin(), writers.end(), same)) return true;
  const std::optional<ThreadFacts> closer = FactsOf(thread);
  if (!closer) return true;
  for (const Writer& writer : writers) {
    const std::optional<ThreadFacts> facts = FactsOf(writer.thread);
    // The writer has ended, or another thread has its number now.
    if (!facts || facts->began > writer.at) return true;
    if (facts->process == closer->process) return true;
  }
  return false;
}

}  // namespace penstock::client

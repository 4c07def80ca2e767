#include "tests/coherence/story.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

namespace penstock::coherence {
namespace {

constexpr size_t kLines = 120;  // the last of them

struct Line {
  int node;
  Entry entry;
};

// The calls of the failed round, or, in a test without rounds, those on the file at hand.
std::vector<Line> LinesOf(const Options& options, const Shared& shared) {
  std::vector<Line> lines;
  for (int node = 0; node < static_cast<int>(options.nodes.size()); ++node) {
    const NodeArea& area = shared.nodes[node];
    const uint64_t end = area.calls.load();
    for (uint64_t i = end > kRing ? end - kRing : 0; i < end; ++i) {
      const Entry& entry = area.ring[i % kRing];
      const bool about = shared.subject[0] ? std::strstr(entry.text, shared.subject) != nullptr
                                           : entry.round == shared.failed_round;
      if (about) lines.push_back({node, entry});
    }
  }
  std::sort(lines.begin(), lines.end(), [](const Line& left, const Line& right) {
    return left.entry.begin_ns < right.entry.begin_ns;
  });
  if (lines.size() > kLines) lines.erase(lines.begin(), lines.end() - kLines);
  return lines;
}

std::string Result(const Entry& entry) {
  if (entry.end_ns == 0) return "not answered";
  if (entry.result >= 0) return std::to_string(entry.result);
  const char* name = strerrorname_np(static_cast<int>(-entry.result));
  return name ? name : std::to_string(entry.result);
}

}  // namespace

std::string Story(const Options& options, const Shared& shared) {
  char text[600];
  std::snprintf(text, sizeof(text),
                "VIOLATION in %s, round %llu, seed %llu, %zu nodes, found by node %d\n",
                options.test.c_str(), static_cast<unsigned long long>(shared.failed_round),
                static_cast<unsigned long long>(options.seed), options.nodes.size(),
                shared.failed_node.load() - 1);
  std::string story = text;
  story += "  " + std::string(shared.failure) + "\n";
  story += "  the same plan again: penstock-coherence " + options.test + " --seed " +
           std::to_string(options.seed) + " --from " + std::to_string(shared.failed_round) +
           " --rounds 100 --nodes ...\n  calls (begin and end in us; each node has a column):\n";
  const std::vector<Line> lines = LinesOf(options, shared);
  for (const Line& line : lines) {
    const double zero_ns = static_cast<double>(lines.front().entry.begin_ns);
    std::snprintf(
        text, sizeof(text), "  %10.1f %10.1f  node %d  %*s%s = %s\n",
        (static_cast<double>(line.entry.begin_ns) - zero_ns) / 1000,
        (static_cast<double>(line.entry.end_ns ? line.entry.end_ns : line.entry.begin_ns) -
         zero_ns) /
            1000,
        line.node, line.node * 4, "", line.entry.text, Result(line.entry).c_str());
    story += text;
  }
  return story;
}

std::string UnderWay(const NodeArea& area, int64_t* began_ns) {
  const uint64_t calls = area.calls.load();
  if (calls == 0) return "";
  const Entry& entry = area.ring[(calls - 1) % kRing];
  if (entry.end_ns != 0) return "";
  *began_ns = entry.begin_ns;
  return entry.text;
}

}  // namespace penstock::coherence

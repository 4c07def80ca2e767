#include "tests/coherence/window.h"

#include <algorithm>

namespace penstock::coherence {

Window BeginLook(const Register& value) { return BeginLook(value, value.seen.load()); }

Window BeginLook(const Register& value, int64_t seen) {
  return {std::max(value.done.load(), seen), 0};
}

void EndLook(Register* value, Window* window) { window->highest = value->started.load(); }

void HaveSeen(Register* value, int64_t seen) {
  int64_t before = value->seen.load();
  while (before < seen && !value->seen.compare_exchange_weak(before, seen)) {
  }
}

std::string WrongValue(const Window& window, int64_t value) {
  if (value < 0) return value == -2 ? "it is empty" : "it is a mix of several versions";
  if (value < window.lowest) {
    return "stale: version " + std::to_string(value) + ", but version " +
           std::to_string(window.lowest) + " was written or seen before the look began";
  }
  if (value > window.highest) {
    return "from the future: version " + std::to_string(value) + ", but only version " +
           std::to_string(window.highest) + " had begun when the look ended";
  }
  return "";
}

std::string WrongParity(const Window& window, bool odd) {
  if (window.lowest < window.highest || (window.lowest % 2 == 1) == odd) return "";
  return std::string("stale: ") + (odd ? "an odd" : "an even") + " version, but version " +
         std::to_string(window.lowest) + " was all there was during the look";
}

}  // namespace penstock::coherence

// EventLimiter lets so many events of one kind through in a minute and counts the others, so that a
// crowd (10^5 clients that mount) pushes nothing else out of the list. Pure; not thread-safe.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace penstock::metaserver {

class EventLimiter {
 public:
  static constexpr absl::Duration kWindow = absl::Minutes(1);
  static constexpr uint64_t kPerWindow = 50;

  // `now`: Clock::SinceBoot().
  bool Admit(const std::string& kind, absl::Duration now) {
    Window& window = windows_[kind];
    if (window.events == 0 || now - window.since >= kWindow) {
      if (window.events > kPerWindow) over_.emplace_back(kind, window.events - kPerWindow);
      window = {.since = now};
    }
    return ++window.events <= kPerWindow;
  }

  // Kinds whose minute is over, and how many of each were held back in it.
  std::vector<std::pair<std::string, uint64_t>> TakeHeldBack(absl::Duration now) {
    for (auto it = windows_.begin(); it != windows_.end();) {
      if (now - it->second.since < kWindow) {
        ++it;
        continue;
      }
      if (it->second.events > kPerWindow) {
        over_.emplace_back(it->first, it->second.events - kPerWindow);
      }
      it = windows_.erase(it);
    }
    return std::exchange(over_, {});
  }

 private:
  struct Window {
    absl::Duration since;
    uint64_t events = 0;
  };
  absl::btree_map<std::string, Window> windows_;  // of the kinds of the last minute
  std::vector<std::pair<std::string, uint64_t>> over_;
};

}  // namespace penstock::metaserver

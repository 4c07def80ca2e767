// EventLimiter lets so many events of one kind through in a minute and counts the others, so that a
// crowd (10^5 clients that mount) pushes nothing else out of the list. Of clients that come and go
// all day it lets few through. Pure; not thread-safe.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/strings/match.h>
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
  static constexpr uint64_t kOfClients = 5;  // kinds client.*
  static uint64_t MostOf(const std::string& kind) {
    return absl::StartsWith(kind, "client.") ? kOfClients : kPerWindow;
  }

  // `now`: Clock::SinceBoot().
  bool Admit(const std::string& kind, absl::Duration now) {
    Window& window = windows_[kind];
    const uint64_t most = MostOf(kind);
    if (window.events == 0 || now - window.since >= kWindow) {
      if (window.events > most) over_.emplace_back(kind, window.events - most);
      window = {.since = now};
    }
    return ++window.events <= most;
  }

  // Kinds whose minute is over, and how many of each were held back in it.
  std::vector<std::pair<std::string, uint64_t>> TakeHeldBack(absl::Duration now) {
    for (auto it = windows_.begin(); it != windows_.end();) {
      if (now - it->second.since < kWindow) {
        ++it;
        continue;
      }
      const uint64_t most = MostOf(it->first);
      if (it->second.events > most) over_.emplace_back(it->first, it->second.events - most);
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

// A map that forgets what was not used for long, and what was used longest ago when it is too full.
// Not thread-safe.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <cstddef>
#include <deque>
#include <utility>

namespace penstock::chunkserver {

template <typename Key, typename Value>
class ExpiringMap {
 public:
  ExpiringMap(absl::Duration keep, size_t limit) : keep_(keep), limit_(limit) {}

  // Made when it is not there, and used `now`: the last to be forgotten. Stays until the next call.
  Value& Use(const Key& key, absl::Duration now) {
    // In the order before others are forgotten: what is in use is never what goes.
    order_.emplace_back(now, key);
    Kept& kept = entries_[key];
    kept.last_use = now;
    Expire(now);
    return kept.value;
  }

  // Null when it is not there. Not a use.
  Value* Find(const Key& key) {
    auto it = entries_.find(key);
    return it == entries_.end() ? nullptr : &it->second.value;
  }
  const Value* Find(const Key& key) const {
    auto it = entries_.find(key);
    return it == entries_.end() ? nullptr : &it->second.value;
  }
  bool contains(const Key& key) const { return entries_.contains(key); }
  size_t size() const { return entries_.size(); }

 private:
  struct Kept {
    Value value{};
    absl::Duration last_use;
  };

  void Expire(absl::Duration now) {
    while (!order_.empty() && (order_.front().first < now - keep_ || order_.size() > limit_)) {
      auto it = entries_.find(order_.front().second);
      // A younger place in the order speaks for an entry that was used again.
      if (it != entries_.end() && it->second.last_use == order_.front().first) entries_.erase(it);
      order_.pop_front();
    }
  }

  const absl::Duration keep_;
  const size_t limit_;
  absl::flat_hash_map<Key, Kept> entries_;
  std::deque<std::pair<absl::Duration, Key>> order_;  // oldest first
};

}  // namespace penstock::chunkserver

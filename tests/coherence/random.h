#pragma once

#include <cstdint>
#include <initializer_list>

namespace penstock::coherence {

// Random numbers of one seed (splitmix64), the same on every machine.
class Random {
 public:
  explicit Random(uint64_t seed = 0) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }

  int Below(int limit) { return static_cast<int>(Next() % static_cast<uint64_t>(limit)); }
  bool OneIn(int n) { return Below(n) == 0; }

  template <typename T>
  T Pick(std::initializer_list<T> values) {
    return values.begin()[Below(static_cast<int>(values.size()))];
  }

  // A stream of its own for each (seed, round, node).
  static Random For(uint64_t seed, uint64_t round, uint64_t node) {
    Random mixed(seed ^ (round * 0xd6e8feb86659fd93ull) ^ (node << 56));
    return Random(mixed.Next());
  }

 private:
  uint64_t state_;
};

}  // namespace penstock::coherence

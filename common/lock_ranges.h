// LockRanges are the byte ranges of one file that one owner holds locked, as fcntl(2) rules them: a
// new lock replaces the part that it covers, unlocking a part splits what is left, and neighbours
// of one type are one lock. A plain value; both sides of the wire use it. Ends are inclusive.
#pragma once

#include <absl/container/btree_map.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace penstock {

enum class LockType : uint8_t { kNone = 0, kRead = 1, kWrite = 2 };  // as on the wire

struct LockRange {
  uint64_t start = 0;
  uint64_t end = 0;  // inclusive
  friend bool operator==(const LockRange&, const LockRange&) = default;
};

struct LockPiece {
  LockRange range;
  LockType type = LockType::kNone;
  friend bool operator==(const LockPiece&, const LockPiece&) = default;
};

// Two owners may not both have them at one byte.
inline bool TypesConflict(LockType a, LockType b) {
  if (a == LockType::kNone || b == LockType::kNone) return false;
  return a == LockType::kWrite || b == LockType::kWrite;
}

class LockRanges {
 public:
  // kNone unlocks. Everything in `range` has this type afterwards.
  void Set(LockRange range, LockType type);
  // Nothing in `range` is stronger than `type` afterwards; what was weaker stays.
  void Weaken(LockRange range, LockType type);
  // The first piece that keeps another owner from `type` in `range`.
  std::optional<LockPiece> FirstConflict(LockRange range, LockType type) const;
  // What is held in `range`, in order, gaps included as kNone.
  std::vector<LockPiece> In(LockRange range) const;
  std::vector<LockPiece> All() const;  // in order, without gaps

  bool empty() const { return pieces_.empty(); }
  size_t size() const { return pieces_.size(); }
  size_t writes() const { return writes_; }  // pieces that are exclusive

 private:
  struct Rest {
    uint64_t end = 0;
    LockType type = LockType::kNone;
  };
  using Pieces = absl::btree_map<uint64_t, Rest>;  // by start
  void Cut(uint64_t at);  // no piece reaches over the boundary before `at` afterwards
  void Add(uint64_t start, Rest rest);
  Pieces::iterator Remove(Pieces::iterator it);
  Pieces::const_iterator FirstTouching(uint64_t start) const;

  Pieces pieces_;  // never overlapping; neighbours of one type merged
  size_t writes_ = 0;
};

}  // namespace penstock

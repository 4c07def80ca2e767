#include "common/lock_ranges.h"

#include <algorithm>
#include <iterator>

#include "common/status.h"

namespace penstock {

void LockRanges::Add(uint64_t start, Rest rest) {
  if (rest.type == LockType::kWrite) ++writes_;
  pieces_.insert_or_assign(start, rest);
}

LockRanges::Pieces::iterator LockRanges::Remove(Pieces::iterator it) {
  if (it->second.type == LockType::kWrite) --writes_;
  return pieces_.erase(it);
}

// The first piece that ends at `start` or later.
LockRanges::Pieces::const_iterator LockRanges::FirstTouching(uint64_t start) const {
  auto it = pieces_.upper_bound(start);
  if (it == pieces_.begin()) return it;
  auto before = std::prev(it);
  return before->second.end >= start ? before : it;
}

void LockRanges::Cut(uint64_t at) {
  auto it = pieces_.lower_bound(at);
  if (it == pieces_.begin()) return;
  --it;
  const Rest piece = it->second;
  if (piece.end < at) return;
  it->second.end = at - 1;
  Add(at, piece);
}

void LockRanges::Set(LockRange range, LockType type) {
  INVARIANT(range.start <= range.end);
  Cut(range.start);
  if (range.end != UINT64_MAX) Cut(range.end + 1);
  auto it = pieces_.lower_bound(range.start);
  while (it != pieces_.end() && it->first <= range.end) it = Remove(it);
  if (type == LockType::kNone) return;
  // The neighbours of the same type become one with it.
  if (it != pieces_.end() && it->first == range.end + 1 && it->second.type == type) {
    range.end = it->second.end;
    it = Remove(it);
  }
  if (it != pieces_.begin()) {
    auto before = std::prev(it);
    if (before->second.end + 1 == range.start && before->second.type == type) {
      range.start = before->first;
      Remove(before);
    }
  }
  Add(range.start, {range.end, type});
}

void LockRanges::Weaken(LockRange range, LockType type) {
  for (const LockPiece& piece : In(range)) {
    if (piece.type > type) Set(piece.range, type);
  }
}

std::optional<LockPiece> LockRanges::FirstConflict(LockRange range, LockType type) const {
  if (type == LockType::kNone || (type == LockType::kRead && writes_ == 0)) return std::nullopt;
  for (auto it = FirstTouching(range.start); it != pieces_.end() && it->first <= range.end; ++it) {
    if (TypesConflict(it->second.type, type)) {
      return LockPiece{{it->first, it->second.end}, it->second.type};
    }
  }
  return std::nullopt;
}

std::vector<LockPiece> LockRanges::In(LockRange range) const {
  std::vector<LockPiece> found;
  uint64_t at = range.start;
  for (auto it = FirstTouching(range.start); it != pieces_.end() && it->first <= range.end; ++it) {
    if (it->first > at) found.push_back({{at, it->first - 1}, LockType::kNone});
    const LockRange part{std::max(it->first, range.start), std::min(it->second.end, range.end)};
    found.push_back({part, it->second.type});
    if (part.end == range.end) return found;
    at = part.end + 1;
  }
  found.push_back({{at, range.end}, LockType::kNone});
  return found;
}

std::vector<LockPiece> LockRanges::All() const {
  std::vector<LockPiece> all;
  all.reserve(pieces_.size());
  for (const auto& [start, rest] : pieces_) all.push_back({{start, rest.end}, rest.type});
  return all;
}

}  // namespace penstock

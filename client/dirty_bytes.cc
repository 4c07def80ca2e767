#include "client/dirty_bytes.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace penstock::client {

DirtyBytes& DirtyBytes::operator=(DirtyBytes&& other) noexcept {
  if (this != &other) {
    extents_ = std::move(other.extents_);
    bytes_ = other.bytes_;
    other.Clear();
  }
  return *this;
}

void DirtyBytes::Clear() {
  extents_.clear();
  bytes_ = 0;
}

// Doubling through realloc: large blocks move by remapping pages, not by copying.
void DirtyBytes::Grow(Extent* extent, uint32_t size) {
  if (size > extent->capacity) {
    const uint32_t capacity = extent->capacity == 0 ? size : std::max(size, 2 * extent->capacity);
    char* grown = static_cast<char*>(std::realloc(extent->data.get(), capacity));
    if (grown == nullptr) throw std::bad_alloc();
    (void)extent->data.release();
    extent->data.reset(grown);
    extent->capacity = capacity;
  }
  extent->size = size;
}

void DirtyBytes::Write(uint32_t offset, std::string_view data) {
  if (data.empty()) return;
  const uint32_t end = offset + static_cast<uint32_t>(data.size());
  // The extent that begins at or before `offset` and reaches it, else a new one.
  auto base = extents_.upper_bound(offset);
  bool joins = false;
  if (base != extents_.begin()) {
    auto before = std::prev(base);
    if (before->first + before->second.size >= offset) {
      base = before;
      joins = true;
    }
  }
  if (!joins) base = extents_.emplace_hint(base, offset, Extent{});
  Extent& extent = base->second;
  const uint32_t start = base->first;
  const uint32_t old_size = extent.size;
  if (end - start > extent.size) Grow(&extent, end - start);
  std::memcpy(extent.data.get() + (offset - start), data.data(), data.size());
  bytes_ += extent.size - old_size;
  // Later extents that it now overlaps or touches become part of it; the new bytes win.
  for (auto next = std::next(base); next != extents_.end() && next->first <= start + extent.size;) {
    const uint32_t next_end = next->first + next->second.size;
    const uint32_t here = start + extent.size;
    bytes_ -= next->second.size;
    if (next_end > here) {
      Grow(&extent, next_end - start);
      std::memcpy(extent.data.get() + (here - start),
                  next->second.data.get() + (here - next->first), next_end - here);
      bytes_ += next_end - here;
    }
    next = extents_.erase(next);
  }
}

void DirtyBytes::Fill(uint32_t base, absl::Span<char> into, std::vector<Range>* missing) const {
  if (extents_.empty() || missing->empty()) return;
  std::vector<Range> left;
  for (Range range : *missing) {
    auto it = extents_.upper_bound(range.begin);
    if (it != extents_.begin()) --it;
    uint32_t at = range.begin;
    for (; it != extents_.end() && it->first < range.end; ++it) {
      const uint32_t from = std::max(at, it->first);
      const uint32_t to = std::min(range.end, it->first + it->second.size);
      if (from >= to) continue;
      if (at < from) left.push_back({at, from});
      std::memcpy(into.data() + (from - base), it->second.data.get() + (from - it->first),
                  to - from);
      at = to;
    }
    if (at < range.end) left.push_back({at, range.end});
  }
  *missing = std::move(left);
}

void DirtyBytes::FillBelow(uint32_t offset, std::string_view under) {
  DirtyBytes merged;
  merged.Write(offset, under);
  for (Range range : ranges()) merged.Write(range.begin, Data(range));
  *this = std::move(merged);
}

std::vector<Range> DirtyBytes::ranges() const {
  std::vector<Range> all;
  for (const auto& [start, extent] : extents_) all.push_back({start, start + extent.size});
  return all;
}

std::string_view DirtyBytes::Data(Range range) const {
  const Extent& extent = extents_.at(range.begin);
  return {extent.data.get(), extent.size};
}

bool DirtyBytes::Covers(Range range) const {
  auto it = extents_.upper_bound(range.begin);
  if (it == extents_.begin()) return range.begin >= range.end;
  --it;
  return it->first + it->second.size >= range.end;
}

}  // namespace penstock::client

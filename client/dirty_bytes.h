// DirtyBytes holds bytes of one chunk that are not on the servers yet, as disjoint extents that
// never touch. Bytes written one after the other lie in one extent, so a sequential writer makes
// whole-chunk writes. Not thread-safe.
#pragma once

#include <absl/types/span.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

namespace penstock::client {

// [begin, end) of a chunk.
struct Range {
  uint32_t begin = 0;
  uint32_t end = 0;
  friend bool operator==(const Range&, const Range&) = default;
};

class DirtyBytes {
 public:
  DirtyBytes() = default;
  DirtyBytes(DirtyBytes&& other) noexcept { *this = std::move(other); }
  DirtyBytes& operator=(DirtyBytes&& other) noexcept;

  void Write(uint32_t offset, std::string_view data);
  // Copies what lies in `missing` (ranges within [base, base + into.size())) and takes it off them.
  void Fill(uint32_t base, absl::Span<char> into, std::vector<Range>* missing) const;
  // Puts `under` below: bytes held already win.
  void FillBelow(uint32_t offset, std::string_view under);
  void Clear();

  bool empty() const { return extents_.empty(); }
  uint64_t bytes() const { return bytes_; }
  std::vector<Range> ranges() const;         // ascending
  std::string_view Data(Range range) const;  // one of ranges()
  bool Covers(Range range) const;

 private:
  struct FreeMemory {
    void operator()(char* p) const { std::free(p); }
  };
  struct Extent {
    std::unique_ptr<char, FreeMemory> data;
    uint32_t size = 0;
    uint32_t capacity = 0;
  };
  using Extents = std::map<uint32_t, Extent>;
  static void Grow(Extent* extent, uint32_t size);

  Extents extents_;  // by first byte
  uint64_t bytes_ = 0;
};

}  // namespace penstock::client

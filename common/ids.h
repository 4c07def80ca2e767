// Ids have types; a bare integer never names a thing. All are plain values, hashable and ordered.
#pragma once

#include <absl/strings/str_cat.h>

#include <compare>
#include <cstdint>
#include <string>
#include <utility>

namespace penstock {

template <typename Tag, typename T>
class Id {
 public:
  using Value = T;
  constexpr Id() = default;
  constexpr explicit Id(T value) : value_(value) {}
  constexpr T value() const { return value_; }
  constexpr bool valid() const { return value_ != 0; }  // 0 never names anything
  friend constexpr auto operator<=>(Id, Id) = default;
  template <typename H>
  friend H AbslHashValue(H h, Id id) {
    return H::combine(std::move(h), id.value_);
  }

 private:
  T value_ = 0;
};

using ContentId = Id<struct ContentIdTag, uint64_t>;  // one content of one file; never reused
using ServerId = Id<struct ServerIdTag, uint32_t>;    // one chunkserver
using TargetId = Id<struct TargetIdTag, uint32_t>;    // one disk directory of one chunkserver
using SessionId = Id<struct SessionIdTag, uint64_t>;  // one mounted client
using DatasetId = Id<struct DatasetIdTag, uint32_t>;  // 24 bits; the root directory is dataset 1

// Replication group of a storage class: 0 .. n-1, so 0 is a valid group.
struct GroupId {
  uint32_t storage_class = 0;
  uint32_t number = 0;
  friend auto operator<=>(const GroupId&, const GroupId&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const GroupId& g) {
    return H::combine(std::move(h), g.storage_class, g.number);
  }
};

// Inode number = dataset (24 bits) | local (40 bits), never reused (DESIGN.md section 7).
class InodeNumber {
 public:
  static constexpr int kLocalBits = 40;
  constexpr InodeNumber() = default;
  constexpr explicit InodeNumber(uint64_t value) : value_(value) {}
  constexpr InodeNumber(DatasetId dataset, uint64_t local)
      : value_((uint64_t{dataset.value()} << kLocalBits) | local) {}
  constexpr uint64_t value() const { return value_; }
  constexpr DatasetId dataset() const {
    return DatasetId(static_cast<uint32_t>(value_ >> kLocalBits));
  }
  constexpr uint64_t local() const { return value_ & ((uint64_t{1} << kLocalBits) - 1); }
  constexpr bool valid() const { return dataset().valid() && local() != 0; }
  friend constexpr auto operator<=>(InodeNumber, InodeNumber) = default;
  template <typename H>
  friend H AbslHashValue(H h, InodeNumber n) {
    return H::combine(std::move(h), n.value_);
  }

 private:
  uint64_t value_ = 0;
};
inline constexpr DatasetId kRootDataset{1};
inline constexpr InodeNumber kRootInode{kRootDataset, 1};

// A chunk is (content id, index); its position decides the group (docs/formats/placement.md).
struct ChunkKey {
  uint32_t position = 0;
  ContentId content;
  uint32_t index = 0;
  friend auto operator<=>(const ChunkKey&, const ChunkKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const ChunkKey& k) {
    return H::combine(std::move(h), k.position, k.content, k.index);
  }
};

// Version of a chunk: never reused for a chunk id, even after deletion. Zero means "no version".
struct ChunkVersion {
  uint32_t epoch = 0;
  uint64_t sequence = 0;
  bool valid() const { return epoch != 0 || sequence != 0; }
  friend auto operator<=>(const ChunkVersion&, const ChunkVersion&) = default;
};

// Who made a write; names it for good, so that a repeat with the same stamp happens once.
struct WriteStamp {
  SessionId session;
  uint32_t channel = 0;
  uint64_t sequence = 0;
  friend bool operator==(const WriteStamp&, const WriteStamp&) = default;
};

std::string ToString(const ChunkKey& key);    // "content/index@position" in hex
std::string ToString(const ChunkVersion& v);  // "epoch.sequence"

}  // namespace penstock

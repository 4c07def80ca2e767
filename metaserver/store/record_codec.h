// Bytes of records: little-endian integers and length-prefixed strings in values, big-endian
// integers in keys (so that keys sort by number). A reader never trusts what it reads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::metaserver {

class RecordWriter {
 public:
  void U8(uint8_t value) { out_.push_back(static_cast<char>(value)); }
  void U32(uint32_t value) { Little(value, 4); }
  void U64(uint64_t value) { Little(value, 8); }
  void I64(int64_t value) { Little(static_cast<uint64_t>(value), 8); }
  void Bytes(std::string_view bytes) {
    U32(static_cast<uint32_t>(bytes.size()));
    out_.append(bytes);
  }
  std::string Take() { return std::move(out_); }

 private:
  void Little(uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out_.push_back(static_cast<char>(value >> (8 * i)));
  }
  std::string out_;
};

// After the first short read every further one gives 0; ok() says whether all was there.
class RecordReader {
 public:
  explicit RecordReader(std::string_view in) : in_(in) {}
  uint8_t U8() { return static_cast<uint8_t>(Little(1)); }
  uint32_t U32() { return static_cast<uint32_t>(Little(4)); }
  uint64_t U64() { return Little(8); }
  int64_t I64() { return static_cast<int64_t>(Little(8)); }
  std::string Bytes() {
    const uint32_t size = U32();
    if (size > in_.size()) {
      ok_ = false;
      return {};
    }
    std::string bytes(in_.substr(0, size));
    in_.remove_prefix(size);
    return bytes;
  }
  bool ok() const { return ok_; }
  bool finished() const { return ok_ && in_.empty(); }  // nothing missing, nothing left over

 private:
  uint64_t Little(size_t bytes) {
    if (!ok_ || in_.size() < bytes) {
      ok_ = false;
      return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; ++i) {
      value |= uint64_t{static_cast<uint8_t>(in_[i])} << (8 * i);
    }
    in_.remove_prefix(bytes);
    return value;
  }
  std::string_view in_;
  bool ok_ = true;
};

inline void AppendBig64(std::string& key, uint64_t value) {
  for (int i = 7; i >= 0; --i) key.push_back(static_cast<char>(value >> (8 * i)));
}
inline void AppendBig32(std::string& key, uint32_t value) {
  for (int i = 3; i >= 0; --i) key.push_back(static_cast<char>(value >> (8 * i)));
}
// `bytes` has at least 8.
inline uint64_t ReadBig64(std::string_view bytes) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

}  // namespace penstock::metaserver

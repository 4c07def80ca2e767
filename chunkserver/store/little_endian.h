// Fixed-width little-endian words, for the values of the chunk index.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::chunkserver {

template <std::unsigned_integral T>
void PutWord(std::string& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i)
    out.push_back(static_cast<char>(uint64_t{value} >> (8 * i)));
}

// Reads words in order; after the end it gives zeros and is no longer ok().
class WordReader {
 public:
  explicit WordReader(std::string_view bytes) : bytes_(bytes) {}
  template <std::unsigned_integral T>
  T Get() {
    if (bytes_.size() < sizeof(T)) {
      ok_ = false;
      bytes_ = {};
      return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof(T); ++i) {
      value |= uint64_t{static_cast<uint8_t>(bytes_[i])} << (8 * i);
    }
    bytes_.remove_prefix(sizeof(T));
    return static_cast<T>(value);
  }
  bool ok() const { return ok_; }
  std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace penstock::chunkserver

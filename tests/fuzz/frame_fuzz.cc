#include "tests/fuzz/frame_fuzz.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  penstock::net::FuzzFrameStream(bytes);
  penstock::net::FuzzHandshake(bytes);
  return 0;
}

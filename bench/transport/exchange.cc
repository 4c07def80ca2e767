#include "bench/transport/exchange.h"

#include <cstring>

namespace penstock::bench {

void Mark(char* data, uint32_t bytes, uint32_t mark) {
  if (bytes < sizeof mark) return;
  std::memcpy(data, &mark, sizeof mark);
  std::memcpy(data + bytes - sizeof mark, &mark, sizeof mark);
}

bool Marked(const char* data, uint32_t bytes, uint32_t mark) {
  if (bytes < sizeof mark) return true;
  return std::memcmp(data, &mark, sizeof mark) == 0 &&
         std::memcmp(data + bytes - sizeof mark, &mark, sizeof mark) == 0;
}

}  // namespace penstock::bench

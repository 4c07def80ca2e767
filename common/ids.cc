#include "common/ids.h"

#include <absl/strings/str_format.h>

namespace penstock {

std::string ToString(const ChunkKey& key) {
  return absl::StrFormat("%016x/%u@%08x", key.content.value(), key.index, key.position);
}

std::string ToString(const ChunkVersion& v) { return absl::StrCat(v.epoch, ".", v.sequence); }

}  // namespace penstock

// Compression of whole blocks of bytes (zstd).
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace penstock {

// A frame of zstd. `data` may be empty.
absl::StatusOr<std::string> Compress(std::string_view data);
// DATA_LOSS: no such frame, or one that does not hold exactly `plain_bytes` bytes.
absl::StatusOr<std::string> Decompress(std::string_view compressed, size_t plain_bytes);

}  // namespace penstock

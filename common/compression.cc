#include "common/compression.h"

#include <absl/strings/str_cat.h>
#include <zstd.h>

namespace penstock {
namespace {

constexpr int kLevel = 3;  // zstd's own default

}  // namespace

absl::StatusOr<std::string> Compress(std::string_view data) {
  std::string out(ZSTD_compressBound(data.size()), '\0');
  const size_t size = ZSTD_compress(out.data(), out.size(), data.data(), data.size(), kLevel);
  if (ZSTD_isError(size)) {
    return absl::InternalError(absl::StrCat("compress: ", ZSTD_getErrorName(size)));
  }
  out.resize(size);
  return out;
}

absl::StatusOr<std::string> Decompress(std::string_view compressed, size_t plain_bytes) {
  std::string out(plain_bytes, '\0');
  const size_t size = ZSTD_decompress(out.data(), out.size(), compressed.data(), compressed.size());
  if (ZSTD_isError(size)) {
    return absl::DataLossError(absl::StrCat("decompress: ", ZSTD_getErrorName(size)));
  }
  if (size != plain_bytes) return absl::DataLossError("decompress: another length than it says");
  return out;
}

}  // namespace penstock

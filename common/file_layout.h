// A file's layout as it comes over the wire. Pure.
#pragma once

#include <absl/status/status.h>

#include "common/placement.h"
#include "proto/types.pb.h"

namespace penstock {

inline FileLayout LayoutOf(const wire::Layout& layout) {
  return FileLayout{ContentId(layout.content_id()), layout.seed(),
                    static_cast<uint8_t>(layout.chunk_size_log2()), layout.storage_class()};
}

// INVALID_ARGUMENT for a layout that no file can have.
inline absl::Status CheckLayout(const wire::Layout& layout) {
  if (layout.content_id() == 0 || layout.chunk_size_log2() < 12 || layout.chunk_size_log2() > 31) {
    return absl::InvalidArgumentError("a file's layout that makes no sense");
  }
  return absl::OkStatus();
}

}  // namespace penstock

// The layout of a file as orders carry it. Pure.
#pragma once

#include <absl/status/status.h>

#include "common/ids.h"
#include "common/placement.h"
#include "proto/types.pb.h"

namespace penstock::chunkserver {

inline FileLayout LayoutOf(const wire::Layout& layout) {
  FileLayout file;
  file.content = ContentId(layout.content_id());
  file.seed = layout.seed();
  file.chunk_size_log2 = static_cast<uint8_t>(layout.chunk_size_log2());
  file.storage_class = layout.storage_class();
  return file;
}

inline absl::Status CheckLayout(const wire::Layout& layout) {
  if (layout.content_id() == 0 || layout.chunk_size_log2() < 12 || layout.chunk_size_log2() > 31) {
    return absl::InvalidArgumentError("an order with a layout that makes no sense");
  }
  return absl::OkStatus();
}

}  // namespace penstock::chunkserver

#include "metaserver/store/rocks_status.h"

#include <absl/strings/str_cat.h>

#include <cerrno>

#include "common/status.h"

namespace penstock::metaserver {

absl::Status FromRocks(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = absl::StrCat(std::string(what), ": ", status.ToString());
  if (status.IsNotFound()) return absl::NotFoundError(text);
  if (status.IsCorruption()) return absl::DataLossError(text);
  if (status.IsNoSpace()) return PosixError(ENOSPC, text);
  return PosixError(EIO, text);
}

}  // namespace penstock::metaserver

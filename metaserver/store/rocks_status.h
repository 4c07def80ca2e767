// RocksDB's status as ours: ENOSPC stays ENOSPC, corruption is DATA_LOSS, the rest EIO.
#pragma once

#include <absl/status/status.h>
#include <rocksdb/status.h>

#include <string_view>

namespace penstock::metaserver {

absl::Status FromRocks(const rocksdb::Status& status, std::string_view what);

}  // namespace penstock::metaserver

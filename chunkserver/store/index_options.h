// How this room opens RocksDB, for chunk_index.cc and index_files.cc alone.
#pragma once

#include <absl/status/status.h>
#include <rocksdb/options.h>
#include <rocksdb/status.h>

#include <cstdint>
#include <string_view>

namespace penstock::chunkserver {

rocksdb::Options IndexOptions(uint64_t cache_bytes, rocksdb::Env* env);
// DATA_LOSS for a corruption, ENOSPC, else EIO.
absl::Status IndexStatus(const rocksdb::Status& status, std::string_view what);

}  // namespace penstock::chunkserver

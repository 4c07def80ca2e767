// Puts the operations of one WriteBatch behind those of another.
#pragma once

#include <absl/status/status.h>
#include <rocksdb/write_batch.h>

#include "metaserver/store/meta_store.h"

namespace penstock::metaserver {

absl::Status AppendBatch(const MetaStore& store, const rocksdb::WriteBatch& from,
                         rocksdb::WriteBatch& to);

}  // namespace penstock::metaserver

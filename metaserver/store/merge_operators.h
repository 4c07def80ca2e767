// Merge operands let creates in one directory commit without reading, and so without waiting for,
// each other: RocksDB adds the changes up when somebody reads the record.
#pragma once

#include <rocksdb/merge_operator.h>

#include <memory>

namespace penstock::metaserver {

// Family inode: DirectoryChange operands on a directory's record.
std::shared_ptr<rocksdb::MergeOperator> NewInodeMergeOperator();
// Family dataset: DatasetCounters operands (sums).
std::shared_ptr<rocksdb::MergeOperator> NewCounterMergeOperator();

}  // namespace penstock::metaserver

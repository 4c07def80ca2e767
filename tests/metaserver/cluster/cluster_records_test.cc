#include "metaserver/cluster/cluster_records.h"

#include <absl/strings/escaping.h>
#include <rocksdb/write_batch.h>
#include <catch2/catch.hpp>

#include "tests/testing/temp_dir.h"

using namespace penstock;
using namespace penstock::metaserver;

TEST_CASE("a group's record has the documented bytes", "[metaserver][cluster_records]") {
  testing::TempDir dir;
  auto store = MetaStore::Open({.dir = dir.path() + "/db", .block_cache_bytes = 8 << 20});
  REQUIRE(store.ok());
  const Membership membership = MemberTable::NewGroup({1, 5}, {TargetId(3), TargetId(1)});
  record::Group group = ToRecord(membership);
  group.set_changed(4);
  ClusterBatch batch(**store);
  batch.Put(group);
  rocksdb::WriteBatch taken = batch.Take();
  REQUIRE((*store)->db()->Write(rocksdb::WriteOptions(), &taken).ok());
  auto rows = (*store)->Scan(Family::kCluster, "group/");
  REQUIRE(rows.ok());
  REQUIRE(rows->size() == 1);
  const auto& [key, value] = rows->front();
  REQUIRE(absl::BytesToHexString(key) == "67726f75702f0000000100000005");
  REQUIRE(absl::BytesToHexString(value) ==
          "0a12080110051801220408031001220408011001"
          "1004"
          "1a020103"
          "3001");
  record::Group read;
  REQUIRE(read.ParseFromString(value));
  REQUIRE(*FromRecord(read) == membership);
}

TEST_CASE("damaged and newer records are refused", "[metaserver][cluster_records]") {
  testing::TempDir dir;
  auto store = MetaStore::Open({.dir = dir.path() + "/db", .block_cache_bytes = 8 << 20});
  REQUIRE(store.ok());
  REQUIRE(!LoadClusterRecords(**store)->found);
  record::Cluster cluster;
  cluster.set_format(2);
  ClusterBatch batch(**store);
  batch.Put(cluster);
  rocksdb::WriteBatch taken = batch.Take();
  REQUIRE((*store)->db()->Write(rocksdb::WriteOptions(), &taken).ok());
  REQUIRE(absl::IsDataLoss(LoadClusterRecords(**store).status()));
  record::Group broken;  // no epoch, no members
  REQUIRE(absl::IsDataLoss(FromRecord(broken).status()));
}

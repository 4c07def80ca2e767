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

TEST_CASE("wishes of operators survive in the records", "[metaserver][cluster_records]") {
  testing::TempDir dir;
  auto store = MetaStore::Open({.dir = dir.path() + "/db", .block_cache_bytes = 8 << 20});
  REQUIRE(store.ok());
  record::Cluster cluster;
  cluster.set_format(kClusterRecordFormat);
  cluster.mutable_rebalance()->set_running(true);
  cluster.mutable_rebalance()->set_threshold_permille(25);
  record::Target target;
  target.mutable_target()->set_target_id(3);
  target.set_draining(true);
  target.set_drain_onto(4);
  MemberTable table;
  table.Install(MemberTable::NewGroup({1, 5}, {TargetId(3), TargetId(1)}));
  auto moving = table.PlanMove({1, 5}, TargetId(3), TargetId(2));
  REQUIRE(moving.ok());
  ClusterBatch batch(**store);
  batch.Put(cluster);
  batch.Put(target);
  batch.Put(ToRecord(*moving));
  rocksdb::WriteBatch taken = batch.Take();
  REQUIRE((*store)->db()->Write(rocksdb::WriteOptions(), &taken).ok());
  auto read = LoadClusterRecords(**store);
  REQUIRE(read.ok());
  REQUIRE(read->cluster.rebalance().threshold_permille() == 25);
  REQUIRE(read->targets[0].drain_onto() == 4);
  REQUIRE(*FromRecord(read->groups[0]) == *moving);
  read->groups[0].set_leaving(9);  // no member
  REQUIRE(absl::IsDataLoss(FromRecord(read->groups[0]).status()));
}

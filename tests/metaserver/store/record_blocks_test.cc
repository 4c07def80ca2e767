#include "metaserver/store/record_blocks.h"

#include <catch2/catch.hpp>

#include "tests/testing/temp_dir.h"

namespace penstock::metaserver {
namespace {

std::unique_ptr<MetaStore> Open(const std::string& dir) {
  auto store = MetaStore::Open({.dir = dir});
  REQUIRE(store.ok());
  return *std::move(store);
}

}  // namespace

TEST_CASE("a snapshot's blocks hold one moment, and load into another store",
          "[metaserver][store]") {
  testing::TempDir dir;
  auto store = Open(dir.path() + "/a");
  rocksdb::DB* db = store->db();
  REQUIRE(db->Put({}, "log_index", std::string(7, '\0') + "\x2a").ok());
  for (int i = 0; i < 3000; ++i) {
    const std::string name = "name" + std::to_string(10000 + i);
    REQUIRE(db->Put({}, store->family(Family::kDentry), name, std::string(1000, 'v')).ok());
  }
  REQUIRE(db->Put({}, store->family(Family::kCluster), "cluster", "").ok());
  const StoreSnapshot snapshot(store.get());
  REQUIRE(db->Delete({}, store->family(Family::kDentry), "name10000").ok());
  REQUIRE(db->Put({}, store->family(Family::kDentry), "new", "").ok());
  REQUIRE(*snapshot.log_index() == 42);
  REQUIRE(snapshot.records_about() > 1000);

  std::vector<RecordBlock> blocks;
  REQUIRE(snapshot
              .VisitBlocks([&](RecordBlock block) {
                REQUIRE(block.data.size() < kBlockBytes + 2000);
                blocks.push_back(std::move(block));
                return absl::OkStatus();
              })
              .ok());
  REQUIRE(blocks.size() >= 5);
  {
    auto other = Open(dir.path() + "/b");
    for (const RecordBlock& block : blocks) REQUIRE(LoadBlock(*other, block).ok());
    REQUIRE(FlushLoaded(*other).ok());
  }
  auto other = Open(dir.path() + "/b");  // nothing is left in a log that was not written
  REQUIRE(other->Scan(Family::kDentry, "")->size() == 3000);
  REQUIRE(other->Get(Family::kDentry, "name10000").ok());
  REQUIRE(*other->Get(Family::kCluster, "cluster") == "");
}

TEST_CASE("a damaged block is refused", "[metaserver][store]") {
  testing::TempDir dir;
  auto store = Open(dir.path());
  RecordBlock block{Family::kInode, 1, std::string("\x01\0\0\0k\x05\0\0\0v", 10)};
  REQUIRE(absl::IsDataLoss(LoadBlock(*store, block)));
  block.family = static_cast<Family>(99);
  REQUIRE(absl::IsDataLoss(LoadBlock(*store, block)));
}

}  // namespace penstock::metaserver

#include "metaserver/store/meta_store.h"

#include <catch2/catch.hpp>

#include "metaserver/store/keys.h"
#include "metaserver/store/records.h"
#include "tests/testing/temp_dir.h"

namespace penstock::metaserver {

TEST_CASE("records survive a reopen, by family", "[metaserver][store]") {
  penstock::testing::TempDir dir;
  {
    auto store = MetaStore::Open({.dir = dir.path()});
    REQUIRE(store.ok());
    rocksdb::DB* db = (*store)->db();
    REQUIRE(db->Put({}, (*store)->family(Family::kCluster), "a1", "x").ok());
    REQUIRE(db->Put({}, (*store)->family(Family::kCluster), "a2", "y").ok());
    REQUIRE(db->Put({}, (*store)->family(Family::kSession), "a3", "z").ok());
  }
  auto store = MetaStore::Open({.dir = dir.path()});
  REQUIRE(store.ok());
  REQUIRE(*(*store)->Get(Family::kCluster, "a1") == "x");
  REQUIRE(absl::IsNotFound((*store)->Get(Family::kCluster, "a3").status()));
  REQUIRE((*store)->Scan(Family::kCluster, "a")->size() == 2);
}

TEST_CASE("a store of an unknown format is refused", "[metaserver][store]") {
  penstock::testing::TempDir dir;
  {
    auto store = MetaStore::Open({.dir = dir.path()});
    REQUIRE((*store)->db()->Put({}, "format", "2").ok());
  }
  auto store = MetaStore::Open({.dir = dir.path()});
  REQUIRE(absl::IsFailedPrecondition(store.status()));
}

TEST_CASE("directory changes add up, also over compaction", "[metaserver][store]") {
  penstock::testing::TempDir dir;
  auto store = MetaStore::Open({.dir = dir.path()});
  rocksdb::DB* db = (*store)->db();
  rocksdb::ColumnFamilyHandle* family = (*store)->family(Family::kInode);
  const std::string key = InodeKey(kRootInode);
  Inode root;
  root.mode = S_IFDIR | 0755;
  root.nlink = 2;
  REQUIRE(db->Put({}, family, key, EncodeInode(root)).ok());
  for (int i = 1; i <= 500; ++i) {
    DirectoryChange change;
    change.entries = 1;
    change.links = i % 5 == 0 ? 1 : 0;
    change.time = {i, 0};
    REQUIRE(db->Merge({}, family, key, EncodeDirectoryChange(change)).ok());
    if (i % 170 == 0) REQUIRE(db->Flush({}, family).ok());
  }
  REQUIRE(db->CompactRange({}, family, nullptr, nullptr).ok());
  auto read = DecodeInode(kRootInode, *(*store)->Get(Family::kInode, key));
  REQUIRE(read.ok());
  REQUIRE(read->size == 500);
  REQUIRE(read->nlink == 102);
  REQUIRE(read->mtime.seconds == 500);
  REQUIRE(read->change == 500);
}

TEST_CASE("a change of a record that is not there reads as damage", "[metaserver][store]") {
  penstock::testing::TempDir dir;
  auto store = MetaStore::Open({.dir = dir.path()});
  rocksdb::ColumnFamilyHandle* family = (*store)->family(Family::kInode);
  REQUIRE((*store)->db()->Merge({}, family, "k", EncodeDirectoryChange({})).ok());
  REQUIRE((*store)->db()->CompactRange({}, family, nullptr, nullptr).ok());
  auto value = (*store)->Get(Family::kInode, "k");
  REQUIRE(value.ok());
  REQUIRE(absl::IsDataLoss(DecodeInode({}, *value).status()));
}

}  // namespace penstock::metaserver

#include <catch2/catch.hpp>

#include "tests/chunkserver/store/store_fixture.h"

namespace penstock::chunkserver {

TEST_CASE("a directory without an identity is absent, never empty", "[chunkserver][store]") {
  StoreFixture f;
  f.store.reset();
  REQUIRE(f.fs.Remove(f.options.dir + "/identity.json").ok());
  const absl::Status opened = f.TryOpen();
  REQUIRE(absl::IsFailedPrecondition(opened));
  REQUIRE(ReasonOf(opened) == Reason::kAbsentTarget);
}

TEST_CASE("another cluster's target is absent", "[chunkserver][store]") {
  StoreFixture f;
  f.store.reset();
  f.options.cluster_id = "cluster-2";
  REQUIRE(ReasonOf(f.TryOpen()) == Reason::kAbsentTarget);
}

TEST_CASE("a target whose index is gone is absent", "[chunkserver][store]") {
  StoreFixture f;
  f.store.reset();
  std::filesystem::remove_all(f.options.dir + "/index");
  REQUIRE(ReasonOf(f.TryOpen()) == Reason::kAbsentTarget);
}

TEST_CASE("an identity of another format, or none that can be read, is refused",
          "[chunkserver][store]") {
  StoreFixture f;
  f.store.reset();
  for (const char* text :
       {"", "{", "[]", "{\"format\":2,\"cluster_id\":\"cluster-1\"}", "{\"format\":1}",
        "{\"format\":1,\"cluster_id\":\"cluster-1\",\"target_uuid\":3,\"target_id\":1}"}) {
    CAPTURE(text);
    REQUIRE(WriteSmallFile(&f.fs, f.options.dir + "/identity.json", text).ok());
    REQUIRE(ReasonOf(f.TryOpen()) == Reason::kAbsentTarget);
  }
}

TEST_CASE("an identity can be changed and read back", "[chunkserver][store]") {
  StoreFixture f;
  REQUIRE(f.store->identity().target_id == TargetId(7));
  f.store.reset();
  REQUIRE(
      ChunkStore::WriteIdentity(f.options.dir, {"cluster-1", "uuid-1", TargetId(9)}, &f.fs).ok());
  f.Open();
  REQUIRE(f.store->identity().target_id == TargetId(9));
  REQUIRE(f.store->identity().target_uuid == "uuid-1");
}

TEST_CASE("a directory with something in it is not formatted", "[chunkserver][store]") {
  StoreFixture f;
  REQUIRE_FALSE(
      SlabChunkStore::Format(f.options.dir, {"cluster-1", "uuid-2", TargetId(8)}, f.seams()).ok());
  REQUIRE(f.store->identity().target_uuid == "uuid-1");
}

TEST_CASE("a target is open once at a time", "[chunkserver][store]") {
  StoreFixture f;
  auto again = SlabChunkStore::Open(f.options, "boot-1", f.seams());
  INFO(again.status());
  REQUIRE(absl::IsFailedPrecondition(again.status()));
  REQUIRE(ReasonOf(again.status()) == Reason::kNone);  // in use, not absent
}

TEST_CASE("the real file system: format, write, restart under a new boot, read",
          "[chunkserver][store]") {
  penstock::testing::TempDir dir;
  ChunkStoreOptions options;
  options.dir = dir.path() + "/target";
  options.cluster_id = "c";
  options.reserve_bytes = 0;
  const std::string data(4 * kMiB, 'd');
  ChunkChange change = StoreFixture::Change(ChangeKind::kWrite, 0, data);
  REQUIRE(ChunkStore::Format(options.dir, {"c", "u", TargetId(1)}, PosixFileSystem()).ok());
  for (int boot = 0; boot < 3; ++boot) {
    auto opened = ChunkStore::Open(options, std::to_string(boot), PosixFileSystem(), SystemClock());
    INFO(opened.status());
    REQUIRE(opened.ok());
    ChunkStore& store = **opened;
    if (boot == 0) {
      const ChunkVersion version{1, store.NextSequence().value()};
      REQUIRE(store.Stage(StoreFixture::Key(1), version, change).ok());
      REQUIRE(store.Commit(StoreFixture::Key(1), version).ok());
      REQUIRE(store.Barrier().ok());
    }
    std::string into(4 * kMiB, '\0');
    auto read = store.Read(StoreFixture::Key(1), 0, absl::MakeSpan(into.data(), into.size()));
    REQUIRE(read.ok());
    REQUIRE((into == data));
    REQUIRE(read->crc32c == change.crc32c);
  }
}

}  // namespace penstock::chunkserver

#include "chunkserver/store/chunk_record.h"

#include <absl/strings/str_format.h>

#include <catch2/catch.hpp>

#include "chunkserver/store/index_keys.h"
#include "common/checksum.h"
#include "tests/chunkserver/store/store_fixture.h"

namespace penstock::chunkserver {
namespace {

std::string Hex(std::string_view bytes) {
  std::string out;
  for (unsigned char c : bytes) absl::StrAppendFormat(&out, "%02x", c);
  return out;
}

// docs/formats/chunk_store.md, "Example".
ChunkRecord Example() {
  ChunkRecord record;
  record.interval = 9;
  record.version = {2, 17};
  record.image.slot = {0, 3, 4096};
  record.image.stored_length = record.image.logical_length = record.image.high_water = 5;
  record.image.block_crcs = {Crc32c("hello")};
  record.channels = {{{SessionId(0xabcd), 4, 1}, {2, 17}}};
  return record;
}

ChunkRecord WithPending() {
  ChunkRecord record = Example();
  PendingChange& pending = record.pending.emplace();
  pending.version = {2, 18};
  pending.kind = ChangeKind::kReplace;
  pending.stamp = {SessionId(5), 6, 7};
  pending.image.slot = {1, 0, 8192};
  pending.image.stored_length = pending.image.high_water = 5000;
  pending.image.logical_length = 6000;
  pending.image.block_crcs = {1, 2};
  pending.image.patches = {{11, 0, 4096}};
  return record;
}

}  // namespace

TEST_CASE("a chunk record's bytes are those of docs/formats", "[chunkserver][store]") {
  REQUIRE(Hex(EncodeRecord(Example())) ==
          "01"
          "01"
          "0900000000000000"
          "02000000"
          "1100000000000000"
          "00"
          "00"
          "00000000"
          "03000000"
          "00100000"
          "05000000"
          "05000000"
          "05000000"
          "4cbb719a"
          "0000"
          "01"
          "cdab000000000000"
          "04000000"
          "0100000000000000"
          "02000000"
          "1100000000000000");
  REQUIRE(Hex(ChunkKeyIn({6, ContentId(0x1122), 1})) ==
          "63"
          "60000000"
          "0000000000001122"
          "00000001");
}

TEST_CASE("a chunk record survives its encoding", "[chunkserver][store]") {
  for (const ChunkRecord& record : {Example(), WithPending()}) {
    const std::string bytes = EncodeRecord(record);
    absl::StatusOr<ChunkRecord> decoded = DecodeRecord(bytes);
    REQUIRE(decoded.ok());
    REQUIRE(EncodeRecord(*decoded) == bytes);
    REQUIRE(decoded->image == record.image);
  }
}

TEST_CASE("a chunk record of an unknown format or encoding is refused", "[chunkserver][store]") {
  std::string bytes = EncodeRecord(Example());
  bytes[0] = 2;
  REQUIRE(absl::IsFailedPrecondition(DecodeRecord(bytes).status()));
  bytes = EncodeRecord(Example());
  bytes[22] = 1;  // the image's encoding
  REQUIRE(absl::IsFailedPrecondition(DecodeRecord(bytes).status()));
}

TEST_CASE("a damaged chunk record is data loss, never a crash", "[chunkserver][store]") {
  const std::string good = EncodeRecord(WithPending());
  for (size_t length = 0; length < good.size(); ++length) {
    REQUIRE_FALSE(DecodeRecord(good.substr(0, length)).ok());
  }
  REQUIRE(absl::IsDataLoss(DecodeRecord(good + "x").status()));
  std::mt19937_64 random(TestSeed("damaged records"));
  for (int i = 0; i < 5000; ++i) {
    std::string bytes = good;
    for (int flips = 1 + random() % 4; flips > 0; --flips) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    DecodeRecord(bytes).status().IgnoreError();
  }
}

TEST_CASE("a group is one range of keys, and stays one when groups double",
          "[chunkserver][store]") {
  std::mt19937_64 random(TestSeed("group ranges"));
  for (uint32_t groups = 1; groups <= 4096; groups *= 2) {
    for (int i = 0; i < 50; ++i) {
      const ChunkKey key{static_cast<uint32_t>(random()), ContentId(random()),
                         static_cast<uint32_t>(random())};
      REQUIRE(DecodeChunkKey(EncodeChunkKey(key)) == key);
      const uint32_t group = key.position & (groups - 1);
      const std::string encoded = ChunkKeyIn(key);
      REQUIRE(GroupStart(group, groups) <= encoded);
      REQUIRE(encoded < GroupEnd(group, groups));
      const uint32_t other = static_cast<uint32_t>(random()) & (groups - 1);
      if (other != group) {
        REQUIRE_FALSE((GroupStart(other, groups) <= encoded && encoded < GroupEnd(other, groups)));
      }
    }
  }
}

TEST_CASE("a target with a record of an unknown format refuses that chunk, not the others",
          "[chunkserver][store]") {
  StoreFixture f;
  REQUIRE(f.Write(f.Key(1), 0, "one").ok());
  REQUIRE(f.Write(f.Key(2), 0, "two").ok());
  f.store.reset();
  {
    rocksdb::Options options;
    options.env = f.env.get();
    rocksdb::DB* raw = nullptr;
    REQUIRE(rocksdb::DB::Open(options, f.options.dir + "/index", &raw).ok());
    std::unique_ptr<rocksdb::DB> db(raw);
    std::string value;
    REQUIRE(db->Get({}, ChunkKeyIn(f.Key(1)), &value).ok());
    value[0] = 9;
    REQUIRE(db->Put({}, ChunkKeyIn(f.Key(1)), value).ok());
  }
  f.Open();
  REQUIRE(absl::IsFailedPrecondition(f.ReadAll(f.Key(1)).status()));
  REQUIRE(absl::IsFailedPrecondition(f.Write(f.Key(1), 0, "x")));
  REQUIRE(f.ReadAll(f.Key(2)).value() == "two");
}

TEST_CASE("a target whose state has an unknown format does not open", "[chunkserver][store]") {
  StoreFixture f;
  f.store.reset();
  {
    rocksdb::Options options;
    options.env = f.env.get();
    rocksdb::DB* raw = nullptr;
    REQUIRE(rocksdb::DB::Open(options, f.options.dir + "/index", &raw).ok());
    std::unique_ptr<rocksdb::DB> db(raw);
    REQUIRE(db->Put({}, kStateKey, std::string(25, '\2')).ok());
  }
  REQUIRE(absl::IsFailedPrecondition(f.TryOpen()));
}

}  // namespace penstock::chunkserver

#include "metaserver/store/records.h"

#include <catch2/catch.hpp>
#include <random>

#include "metaserver/store/keys.h"
#include "metaserver/store/record_codec.h"

namespace penstock::metaserver {
namespace {

Inode Sample() {
  Inode inode;
  inode.ino = InodeNumber(kRootDataset, 7);
  inode.mode = S_IFREG | 0644;
  inode.nlink = 1;
  inode.uid = 1000;
  inode.gid = 100;
  inode.rdev = 3;
  inode.size = 5;
  inode.atime = {-1, 999999999};
  inode.mtime = {1ll << 40, 1};
  inode.data_version = 4;
  inode.change = 9;
  inode.parent_local = 1;
  inode.is_inline = true;
  inode.data = "hello";
  inode.layout.layout.content = ContentId(77);
  inode.layout.layout.seed = 5;
  inode.layout.base_content = ContentId(66);
  inode.layout.base_length = 10;
  inode.truncate = {3, 100, SessionId(8)};
  inode.has_acl = true;
  inode.allocated = 4096;
  return inode;
}

std::string Hex(std::string_view bytes) {
  std::string text;
  for (unsigned char c : bytes) text += absl::StrFormat("%02x", c);
  return text;
}

}  // namespace

TEST_CASE("an inode comes back as it was", "[metaserver][records]") {
  const Inode inode = Sample();
  auto read = DecodeInode(inode.ino, EncodeInode(inode));
  REQUIRE(read.ok());
  REQUIRE(EncodeInode(*read) == EncodeInode(inode));
  REQUIRE(read->data == "hello");
  REQUIRE(read->has_acl);
  REQUIRE(read->atime.seconds == -1);
  REQUIRE(read->layout.base_content == ContentId(66));
  REQUIRE(read->truncate.session == SessionId(8));
  REQUIRE(read->allocated == 4096);
}

TEST_CASE("a damaged record is DATA_LOSS, never a crash", "[metaserver][records]") {
  const std::string good = EncodeInode(Sample());
  for (size_t length = 0; length < good.size(); ++length) {
    REQUIRE(absl::IsDataLoss(DecodeInode({}, good.substr(0, length)).status()));
  }
  REQUIRE(absl::IsDataLoss(DecodeInode({}, good + "x").status()));
  const uint64_t seed = Catch::rngSeed();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good;
    for (int flips = 0; flips < 3; ++flips) bytes[random() % bytes.size()] ^= 1 << random() % 8;
    if (i % 3 == 0) bytes.resize(random() % bytes.size());
    DecodeInode({}, bytes).status().IgnoreError();
    DecodeDentry(bytes).status().IgnoreError();
    DecodeDataset(kRootDataset, bytes).status().IgnoreError();
    DecodeSession({}, bytes).status().IgnoreError();
    DecodeSlotResult(bytes).status().IgnoreError();
    DecodeOrphan(bytes, bytes).status().IgnoreError();
    DecodeDeadContent(bytes, bytes).status().IgnoreError();
    DecodeDirectoryChange(bytes).status().IgnoreError();
  }
}

TEST_CASE("a record of another format is refused", "[metaserver][records]") {
  std::string bytes = EncodeInode(Sample());
  for (char format : {1, 3}) {
    bytes[0] = format;
    REQUIRE(absl::IsFailedPrecondition(DecodeInode({}, bytes).status()));
  }
  bytes = EncodeDentry({2, S_IFREG});
  bytes[0] = 2;
  REQUIRE(absl::IsFailedPrecondition(DecodeDentry(bytes).status()));
}

TEST_CASE("keys sort by number, and lists by time", "[metaserver][keys]") {
  REQUIRE(InodeKey(InodeNumber(kRootDataset, 255)) < InodeKey(InodeNumber(kRootDataset, 256)));
  REQUIRE(OrphanKey({-5, 0}, InodeNumber(9)) < OrphanKey({0, 0}, InodeNumber(1)));
  REQUIRE(OrphanKey({5, 1}, InodeNumber(9)) < OrphanKey({5, 2}, InodeNumber(1)));
  FileTime since;
  uint64_t id = 0;
  REQUIRE(ParseTimedKey(OrphanKey({-5, 7}, InodeNumber(9)), since, id).ok());
  REQUIRE(since == FileTime{-5, 7});
  REQUIRE(id == 9);
  REQUIRE_FALSE(ParseTimedKey("short", since, id).ok());
}

// The worked example of docs/formats/metadata.md.
TEST_CASE("the documented bytes are the bytes", "[metaserver][records]") {
  REQUIRE(Hex(DentryKey(kRootInode, "cat.jpg")) == "00000100000000016361742e6a7067");
  REQUIRE(Hex(EncodeDentry({2, S_IFREG})) == "01020000000000000008");
  REQUIRE(Hex(InodeKey(InodeNumber(kRootDataset, 2))) == "0000010000000002");
  Inode cat;
  cat.mode = S_IFREG | 0644;
  cat.nlink = 1;
  cat.is_inline = true;
  cat.layout.layout.content = ContentId(1);
  REQUIRE(Hex(EncodeInode(cat)).substr(0, 20) == "0211a481000001000000");
  DirectoryChange change;
  change.entries = 1;
  change.time = {1, 2};
  REQUIRE(Hex(EncodeDirectoryChange(change)) ==
          "01"
          "0100000000000000"
          "00000000"
          "0100000000000000"
          "02000000"
          "0100000000000000");
}

}  // namespace penstock::metaserver

// What a file takes on the servers: summed here, told with the publish.
#include <catch2/catch.hpp>
#include <random>

#include "tests/client/file_fixture.h"

namespace penstock::client {
namespace {

struct Fixture : FileFixture {
  using FileFixture::FileFixture;
  uint64_t Blocks() {
    absl::MutexLock lock(&inode->mu);
    return inode->Merged().attr().blocks();
  }
  int64_t told() { return meta.allocated[5]; }
  int64_t Stored() {
    int64_t sum = 0;
    const uint64_t content = meta.File(5).layout().content_id();
    for (const auto& [key, bytes] : chunks.chunks) {
      if (key.first == content) sum += static_cast<int64_t>(bytes.size());
    }
    return sum;
  }
};

TEST_CASE("a publish tells what its chunks take", "[client][allocated]") {
  Fixture f;
  REQUIRE(f.Write(0, std::string(100, 'i')).ok());
  REQUIRE(f.Blocks() == 1);
  REQUIRE(f.Flush().ok());
  REQUIRE(f.told() == 0);  // inline
  REQUIRE(f.Write(10 * kChunk, "far").ok());
  REQUIRE(f.Blocks() <= 2);  // before anything is sent
  REQUIRE(f.Flush().ok());
  REQUIRE(f.told() == 103);
  REQUIRE(f.Blocks() == 1);
  REQUIRE(f.Write(2 * kChunk, std::string(kChunk, 'c')).ok());
  REQUIRE(f.Blocks() >= kChunk / 512);  // sent or not
  REQUIRE(f.Flush().ok());
  REQUIRE(f.told() == 103 + int64_t{kChunk});
  REQUIRE(f.Write(2 * kChunk, std::string(kChunk, 'd')).ok());
  REQUIRE(f.Flush().ok());
  REQUIRE(f.told() == 103 + int64_t{kChunk});  // overwritten
}

TEST_CASE("holes and truncations give their room back", "[client][allocated]") {
  Fixture f;
  REQUIRE(f.Write(0, std::string(4 * kChunk, 'x')).ok());
  REQUIRE(f.Flush().ok());
  REQUIRE(f.writer->Zero(f.inode, kChunk / 2, 2 * kChunk, f.op).ok());
  REQUIRE(f.Flush().ok());
  REQUIRE(f.told() == f.Stored());
  REQUIRE(f.told() == int64_t{2 * kChunk + kChunk / 2});
  REQUIRE(f.SetSize(kChunk / 4).ok());
  REQUIRE(f.told() == int64_t{kChunk / 4});
  REQUIRE(f.Blocks() == kChunk / 4 / 512);
  REQUIRE(f.SetSize(0).ok());
  REQUIRE(f.told() == 0);
  REQUIRE(f.Blocks() == 0);
}

TEST_CASE("what a failed publish did not tell, the next one does", "[client][allocated]") {
  Fixture f;
  f.meta.publish_error = PosixError(EIO, "not now");
  REQUIRE(f.Write(0, std::string(2 * kChunk, 'x')).ok());
  REQUIRE_FALSE(f.Flush().ok());
  REQUIRE(f.told() == 0);
  f.meta.publish_error = absl::OkStatus();
  REQUIRE(f.Write(0, "again").ok());
  REQUIRE(f.Flush().ok());
  REQUIRE(f.told() == int64_t{2 * kChunk});
}

TEST_CASE("what later writes stored waits for the publish of their size", "[client][allocated]") {
  Inode inode(InodeNumber(5));
  absl::MutexLock lock(&inode.mu);
  inode.entry.mutable_attr()->set_size(4096);
  inode.entry.mutable_attr()->set_blocks(8);
  inode.local_size = 200'000;
  inode.allocated_delta = 100'000;
  REQUIRE(inode.TakeAllocatedDelta(50'000) == 53'248 - 4096);
  REQUIRE(inode.allocated_delta == 100'000 - (53'248 - 4096));
  REQUIRE(inode.TakeAllocatedDelta(200'000) == 100'000 - (53'248 - 4096));
  inode.allocated_delta = -100;
  REQUIRE(inode.TakeAllocatedDelta(0) == -100);
  REQUIRE(inode.allocated_delta == 0);
}

TEST_CASE("after random operations the sum is what the chunks hold",
          "[client][allocated][random]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  Fixture f(/*dirty_limit=*/8 * kChunk);
  const uint64_t limit = 6 * kChunk;
  for (int i = 0; i < 300; ++i) {
    const uint64_t offset = random() % limit;
    const uint64_t length = 1 + random() % (random() % 4 == 0 ? 2 * kChunk : 3000);
    switch (random() % 6) {
      case 0:
        REQUIRE(f.SetSize(random() % 3 == 0 ? random() % 5000 : offset).ok());
        break;
      case 1:
        REQUIRE(f.writer->Zero(f.inode, offset, length, f.op).ok());
        break;
      default:
        REQUIRE(f.Write(offset, std::string(length, 'r')).ok());
    }
    if (random() % 3 != 0) continue;
    REQUIRE(f.Flush().ok());
    if (f.meta.File(5).is_inline()) continue;
    REQUIRE(f.told() == f.Stored());
  }
}

}  // namespace
}  // namespace penstock::client

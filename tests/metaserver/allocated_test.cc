// st_blocks as clients' sums make it.
#include "metaserver/allocated.h"

#include <catch2/catch.hpp>

#include "metaserver/ops/mutations.h"
#include "tests/metaserver/namespace_fixture.h"

namespace penstock::metaserver {
namespace {

constexpr uint64_t kMiB = 1 << 20;

Inode File(uint64_t size, uint64_t allocated) {
  Inode inode;
  inode.mode = S_IFREG;
  inode.size = size;
  inode.allocated = allocated;
  return inode;
}

struct Fixture {
  NamespaceFixture fs{Paths{"/f"}};

  uint64_t BlocksAfterPublish(uint64_t size, int64_t delta) {
    const auto entry = fs.Lookup("/f");
    wire::PublishRequest request;
    *request.mutable_context() = fs.Context();
    request.set_ino(entry->attr().ino());
    request.set_content_id(entry->layout().content_id());
    request.set_size_at_least(size);
    request.set_drop_inline(entry->is_inline());
    request.set_expected_data_version(entry->attr().data_version());
    request.set_allocated_delta(delta);
    return fs.names().Mutate(Publish, request)->entry().attr().blocks();
  }
  uint64_t Blocks() { return fs.Lookup("/f")->attr().blocks(); }
};

}  // namespace

TEST_CASE("the sum stays between nothing and the file's size", "[metaserver][allocated]") {
  Inode inode = File(10'000, 0);
  AddAllocated(inode, 9'000);
  REQUIRE(inode.allocated == 9'000);
  REQUIRE(BlocksOf(inode) == 18);
  AddAllocated(inode, INT64_MAX);
  REQUIRE(inode.allocated == 12'288);
  AddAllocated(inode, INT64_MIN);
  REQUIRE(inode.allocated == 0);
  inode = File(INT64_MAX, 5);
  AddAllocated(inode, INT64_MAX);
  REQUIRE(inode.allocated == uint64_t{1} << 63);  // its size, rounded up
  // Shown within the size, and kept within the old one until the cuts have told what they freed.
  inode = File(4'096, 100'000);
  inode.truncate = {1, 100'000, SessionId(7)};
  REQUIRE(BlocksOf(inode) == 8);
  AddAllocated(inode, -50'000);
  REQUIRE(inode.allocated == 50'000);
}

TEST_CASE("inline content counts as its bytes, other inodes take none", "[metaserver][allocated]") {
  Fixture f;
  REQUIRE(f.Blocks() == 0);
  REQUIRE(f.fs.PublishInline("/f", "x").ok());
  REQUIRE(f.Blocks() == 1);
  REQUIRE(f.fs.PublishInline("/f", std::string(1025, 'x')).ok());
  REQUIRE(f.Blocks() == 3);
  REQUIRE(f.fs.Lookup("/")->attr().blocks() == 0);
  REQUIRE(f.fs.Symlink("/l", "target")->entry().attr().blocks() == 0);
}

TEST_CASE("a file takes what its chunks take", "[metaserver][allocated]") {
  Fixture f;
  REQUIRE(f.BlocksAfterPublish(1 << 30, 4096) == 8);  // a hole before it
  REQUIRE(f.BlocksAfterPublish(1 << 30, 8 * kMiB) == 8 + 8 * kMiB / 512);
  REQUIRE(f.BlocksAfterPublish(0, -4 * int64_t{kMiB}) == 8 + 4 * kMiB / 512);
  f.fs.Reopen();
  f.fs.Report(f.fs.session());
  REQUIRE(f.Blocks() == 8 + 4 * kMiB / 512);
  REQUIRE(f.fs.Truncate("/f", 0).ok());
  REQUIRE(f.Blocks() == 0);  // a new content
}

TEST_CASE("a truncation frees what its cuts freed", "[metaserver][allocated]") {
  Fixture f;
  REQUIRE(f.BlocksAfterPublish(12 * kMiB, 8 * kMiB) == 8 * kMiB / 512);  // 4 MiB are a hole
  const auto cut = f.fs.Truncate("/f", 4 * kMiB);
  REQUIRE(cut->entry().attr().blocks() == 4 * kMiB / 512);  // no more than its size
  wire::TruncateDoneRequest done;
  *done.mutable_context() = f.fs.Context();
  done.set_ino(cut->entry().attr().ino());
  done.set_truncate_intent(cut->truncate_intent());
  done.set_allocated_delta(-8 * int64_t{kMiB} + 4096);
  REQUIRE(f.fs.names().Mutate(TruncateDone, done)->entry().attr().blocks() == 8);
  *done.mutable_context() = f.fs.Context();
  REQUIRE(f.fs.names().Mutate(TruncateDone, done)->entry().attr().blocks() == 8);  // once
}

}  // namespace penstock::metaserver

// FileSystem over in-memory servers: what a close waits for.
#include "client/file_system.h"

#include <unistd.h>
#include <catch2/catch.hpp>

#include "tests/client/fake_chunks.h"
#include "tests/client/fake_meta.h"
#include "tests/testing/fake_clock.h"

namespace penstock::client {
namespace {

struct Fixture {
  std::unique_ptr<FileHandle> Open() {
    auto handle = fs.Open(InodeNumber(5), {.write = true}, op);
    REQUIRE(handle.ok());
    return std::move(*handle);
  }
  FakeMeta meta;
  FakeChunks chunks;
  HoldTable holds;
  testing::FakeClock clock;
  FileWriter writer{&meta, &chunks, [] { return SessionId(77); }, FileWriterOptions{}};
  EntryCache cache{16 << 20, &clock};
  FileSystem fs{&meta, &chunks, &holds, &writer, &cache, &clock, ClientOptions{}};
  OpContext op{.credentials = {}, .thread = static_cast<uint64_t>(getpid()), .interrupt = nullptr};
};

TEST_CASE("a close waits for mapped pages that went through another handle",
          "[client][file_system]") {
  Fixture f;
  f.meta.MakeFile(5);
  std::unique_ptr<FileHandle> mine = f.Open();
  std::unique_ptr<FileHandle> other = f.Open();
  REQUIRE(f.fs.Write(*other, 0, "written", f.op).ok());
  REQUIRE(f.fs.Flush(*mine, f.op).ok());
  REQUIRE(f.meta.calls(wire::METHOD_PUBLISH) == 0);  // whoever wrote has it open still
  OpContext kernel = f.op;
  kernel.thread = 0;
  REQUIRE(f.fs.Write(*other, 0, "mapped", kernel).ok());
  REQUIRE(f.fs.Flush(*mine, f.op).ok());
  REQUIRE(f.meta.File(5).inline_data() == "mappedn");
  f.fs.Release(std::move(mine));
  f.fs.Release(std::move(other));
}

TEST_CASE("another mount's truncation is an error of the close", "[client][file_system]") {
  Fixture f;
  f.meta.MakeFile(5);
  std::unique_ptr<FileHandle> handle = f.Open();
  f.writer.Start();
  REQUIRE(f.fs.Write(*handle, 0, std::string(1 << FakeMeta::kChunkLog2, 'w'), f.op).ok());
  while (f.chunks.written() == 0) absl::SleepFor(absl::Milliseconds(1));
  f.meta.Change(5, [](wire::Entry& e) { e.mutable_layout()->set_content_id(4711); });
  REQUIRE(ErrnoOf(f.fs.Flush(*handle, f.op)) == ESTALE);
  REQUIRE(ErrnoOf(f.fs.Fsync(*handle, f.op)) == ESTALE);
  REQUIRE(f.fs.Fsync(*handle, f.op).ok());  // once
  f.fs.Release(std::move(handle));
}

class FakeKernel : public KernelCache {
 public:
  void DropNames() override { ++dropped; }
  void DropAttributes(InodeNumber) override {}
  void DropPages(InodeNumber, uint64_t, uint64_t) override {}
  std::optional<RenameCall> RenameOf(uint64_t) override { return std::nullopt; }
  int dropped = 0;
};

TEST_CASE("a name that was moved to where no lease is held is not remembered by the kernel",
          "[client][file_system]") {
  Fixture f;
  FakeKernel kernel;
  f.fs.SetKernelCache(&kernel);
  constexpr InodeNumber kFrom(100), kTo(101);
  f.cache.SetValidUntil(f.clock.SinceBoot() + absl::Seconds(9));
  REQUIRE(f.cache.StoreAbsent(f.cache.token(), kFrom, "other"));
  REQUIRE(f.fs.Rename({kFrom, "a"}, {kTo, "b"}, 0, f.op).ok());
  REQUIRE(kernel.dropped == 1);
  REQUIRE(f.fs.Rename({kTo, "b"}, {kFrom, "a"}, 0, f.op).ok());
  REQUIRE(kernel.dropped == 1);
  REQUIRE(f.fs.Rename({kTo, "b"}, {kFrom, "a"}, wire::RENAME_FLAG_EXCHANGE, f.op).ok());
  REQUIRE(kernel.dropped == 2);
  REQUIRE(f.cache.StoreAbsent(f.cache.token(), kTo, "other"));
  REQUIRE(f.fs.Rename({kTo, "b"}, {kFrom, "a"}, wire::RENAME_FLAG_EXCHANGE, f.op).ok());
  REQUIRE(kernel.dropped == 2);
}

}  // namespace
}  // namespace penstock::client

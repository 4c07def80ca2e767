// What FileWriter and FileReader do when something else comes in between: another mount, a failure
// half-way, a truncation.
#include <catch2/catch.hpp>

#include "tests/client/file_fixture.h"

namespace penstock::client {
namespace {

struct Fixture : FileFixture {
  // A whole chunk goes to the servers in the background.
  void WriteWholeChunk(uint32_t index) {
    const int before = chunks.written();
    REQUIRE(Write(index * kChunk, std::string(kChunk, 'w')).ok());
    auto gone = [&] {
      absl::MutexLock lock(&inode->mu);
      return inode->chunks.count(index) == 0;
    };
    while (chunks.written() == before || !gone()) absl::SleepFor(absl::Milliseconds(1));
  }
  uint64_t errors() {
    absl::MutexLock lock(&inode->mu);
    return inode->error_number;
  }
  // As another mount does that has the file open too.
  void OtherWritesInline(const std::string& data) {
    meta.Change(5, [&](wire::Entry& e) {
      e.set_inline_data(data);
      e.mutable_attr()->set_size(data.size());
    });
  }
};

TEST_CASE("chunks are read back before chunk 0 was ever written", "[client][file_writer]") {
  Fixture f;
  f.WriteWholeChunk(2);
  REQUIRE(f.Read(2 * kChunk, kChunk) == std::string(kChunk, 'w'));
  REQUIRE(f.Read(kChunk - 2, 4) == std::string(4, '\0'));
  REQUIRE(f.Flush().ok());
  REQUIRE(f.Read(2 * kChunk - 1, 2) == std::string("\0w", 2));
}

TEST_CASE("inline content that another mount changed meanwhile goes along to chunk 0",
          "[client][file_writer]") {
  Fixture f;
  REQUIRE(f.Write(0, "old content").ok());
  REQUIRE(f.Flush().ok());
  SECTION("when the file grows by a write") {
    REQUIRE(f.Write(1, "X").ok());
    REQUIRE(f.Write(9000, "end").ok());
    f.OtherWritesInline("NEW");
    REQUIRE(f.Flush().ok());
    REQUIRE(f.Read(0, 12) == std::string("NXW\0\0\0\0\0\0\0\0\0", 12));
    REQUIRE(f.Read(9000, 10) == "end");
  }
  SECTION("when chunk 0 was sent before that") {
    REQUIRE(f.Write(1, "X").ok());
    f.WriteWholeChunk(1);
    REQUIRE(f.Write(kChunk - 1, "e").ok());  // the end of chunk 0: it goes
    while (f.chunks.written() < 3) absl::SleepFor(absl::Milliseconds(1));
    f.OtherWritesInline("NEW CONTENT");
    REQUIRE(f.Write(4, "Y").ok());
    REQUIRE(f.Flush().ok());
    REQUIRE(f.Read(0, 11) == "NXW YONTENT");
  }
  SECTION("when the other mount put it there already") {
    REQUIRE(f.Write(9000, "end").ok());
    f.chunks.chunks[{f.meta.File(5).layout().content_id(), 0}] = "NEW CONTENT";
    f.meta.Change(5, [](wire::Entry& e) {
      e.set_is_inline(false);
      e.clear_inline_data();
    });
    REQUIRE(f.Flush().ok());
    REQUIRE(f.Read(0, 11) == "NEW CONTENT");
    REQUIRE(f.Read(9000, 10) == "end");
  }
  SECTION("when the file grows by a truncation") {
    f.OtherWritesInline("NEW");
    REQUIRE(f.SetSize(10'000).ok());
    REQUIRE(f.Read(0, 4) == std::string("NEW\0", 4));
  }
  REQUIRE_FALSE(f.meta.File(5).is_inline());
}

TEST_CASE("inline content stays when the file cannot grow", "[client][file_writer]") {
  Fixture f;
  REQUIRE(f.Write(0, "safe").ok());
  REQUIRE(f.Flush().ok());
  f.chunks.FailWrites(PosixError(ENOSPC, "full"));
  REQUIRE(f.Write(4, std::string(2 * kChunk, 'x')).ok());
  REQUIRE(ErrnoOf(f.Flush()) == ENOSPC);
  REQUIRE(f.meta.File(5).is_inline());
  REQUIRE(f.meta.File(5).inline_data() == "safe");
  REQUIRE(f.Read(0, 10) == "safe");
  f.chunks.FailWrites(absl::OkStatus());
  REQUIRE(f.Write(kChunk, "more").ok());
  REQUIRE(f.Flush().ok());
  REQUIRE(f.Read(0, 5) == std::string("safe\0", 5));
  REQUIRE(f.Read(kChunk, 9) == "more");
}

TEST_CASE("writes to an inode that is gone are given up", "[client][file_writer]") {
  Fixture f;
  REQUIRE(f.Write(0, "late").ok());
  {
    absl::MutexLock lock(&f.meta.mu);
    f.meta.publish_error = PosixError(ESTALE, "no such inode");
  }
  REQUIRE(ErrnoOf(f.Flush()) == ESTALE);
  REQUIRE(f.errors() == 1);
  REQUIRE(f.Flush().ok());
  REQUIRE(f.writer->memory().used() == 0);
}

TEST_CASE("bytes that another mount's truncation may have taken are an error",
          "[client][file_writer]") {
  Fixture f;
  f.WriteWholeChunk(0);
  f.meta.Change(5, [](wire::Entry& e) { e.mutable_layout()->set_content_id(4711); });
  REQUIRE(f.Flush().ok());
  REQUIRE(f.errors() == 1);
  REQUIRE(f.Read(0, 10).empty());
  REQUIRE(f.Write(0, "later").ok());
  REQUIRE(f.Flush().ok());
  REQUIRE(f.errors() == 1);
  REQUIRE(f.Read(0, 10) == "later");
}

TEST_CASE("a truncation of one's own is no such error", "[client][file_writer]") {
  Fixture f;
  f.WriteWholeChunk(0);
  REQUIRE(f.SetSize(0).ok());
  f.WriteWholeChunk(1);
  REQUIRE(f.Flush().ok());
  REQUIRE(f.SetSize(0).ok());
  REQUIRE(f.errors() == 0);
}

TEST_CASE("nothing is sent to a content that is being truncated away", "[client][file_writer]") {
  Fixture f;
  auto call = [&]() -> absl::StatusOr<wire::Entry> {
    REQUIRE(f.Write(0, std::string(kChunk, 'o')).ok());  // whole: to be sent at once
    absl::SleepFor(absl::Milliseconds(50));
    return f.meta.File(5);  // it was empty and inline, so it keeps its content
  };
  REQUIRE(f.writer->Empty(f.inode, call, f.op).ok());
  REQUIRE(f.chunks.written() == 0);
  REQUIRE(f.Write(kChunk - 1, "n").ok());
  REQUIRE(f.Flush().ok());
  REQUIRE(f.Read(0, 1) == std::string(1, '\0'));
}

TEST_CASE("a truncation that was broken off is finished before the file grows",
          "[client][file_writer]") {
  Fixture f;
  REQUIRE(f.Write(0, std::string(3 * kChunk, 'd')).ok());
  REQUIRE(f.Flush().ok());
  f.chunks.FailChanges(PosixError(EIO, "the server is away"));
  REQUIRE(ErrnoOf(f.SetSize(kChunk + 10)) == EIO);
  REQUIRE(f.Write(0, "below the cut").ok());
  REQUIRE(ErrnoOf(f.Write(3 * kChunk, "beyond")) == EIO);
  REQUIRE(ErrnoOf(f.SetSize(2 * kChunk)) == EIO);
  REQUIRE(f.meta.calls(wire::METHOD_TRUNCATE_DONE) == 0);
  f.chunks.FailChanges(absl::OkStatus());
  SECTION("by the write") {
    REQUIRE(f.Write(3 * kChunk, "beyond").ok());
    REQUIRE(f.Read(kChunk + 8, 4) == std::string("dd\0\0", 4));
    REQUIRE(f.Flush().ok());
  }
  SECTION("by the next truncation") { REQUIRE(f.SetSize(3 * kChunk).ok()); }
  SECTION("in the background") {
    while (f.meta.calls(wire::METHOD_TRUNCATE_DONE) == 0) absl::SleepFor(absl::Milliseconds(20));
    return;
  }
  REQUIRE(f.meta.calls(wire::METHOD_TRUNCATE_DONE) == 1);
  REQUIRE(f.Read(kChunk + 8, kChunk) == "dd" + std::string(kChunk - 2, '\0'));
  REQUIRE(f.Read(0, 5) == "below");
}

}  // namespace
}  // namespace penstock::client

// FileWriter and FileReader over in-memory servers.
#include "client/file_writer.h"

#include <catch2/catch.hpp>
#include <random>

#include "tests/client/file_fixture.h"

namespace penstock::client {
namespace {

using Fixture = FileFixture;

TEST_CASE("a small file goes into the record in one call and no chunk", "[client][file_writer]") {
  Fixture f;
  REQUIRE(f.Write(0, "hello").ok());
  REQUIRE(f.Read(0, 100) == "hello");
  REQUIRE(f.Flush().ok());
  REQUIRE(f.meta.File(5).inline_data() == "hello");
  REQUIRE(f.meta.File(5).attr().size() == 5);
  REQUIRE(f.meta.calls(wire::METHOD_PUBLISH) == 1);
  REQUIRE(f.chunks.writes == 0);
  REQUIRE(f.writer->memory().used() == 0);
  REQUIRE(f.Flush().ok());  // nothing to do
  REQUIRE(f.meta.calls(wire::METHOD_PUBLISH) == 1);
}

TEST_CASE("an inline file that grows writes and syncs chunk 0 before the record drops it",
          "[client][file_writer]") {
  Fixture f;
  REQUIRE(f.Write(0, std::string(3000, 'a')).ok());
  REQUIRE(f.Flush().ok());
  REQUIRE(f.Write(3000, std::string(3000, 'b')).ok());
  REQUIRE(f.Read(2999, 2) == "ab");
  REQUIRE(f.Flush().ok());
  const wire::Entry entry = f.meta.File(5);
  REQUIRE_FALSE(entry.is_inline());
  REQUIRE(entry.attr().size() == 6000);
  REQUIRE((f.chunks.chunks[{entry.layout().content_id(), 0}]) ==
          std::string(3000, 'a') + std::string(3000, 'b'));
  REQUIRE(f.chunks.syncs == 1);
  REQUIRE(f.meta.last_publish.drop_inline());
  REQUIRE(f.Read(0, 6000) == std::string(3000, 'a') + std::string(3000, 'b'));
}

TEST_CASE("a new large file is not synced at close", "[client][file_writer]") {
  Fixture f;
  REQUIRE(f.Write(0, std::string(100'000, 'x')).ok());
  REQUIRE(f.Flush().ok());
  REQUIRE(f.chunks.syncs == 0);
  REQUIRE(f.meta.File(5).attr().size() == 100'000);
  REQUIRE(f.Flush(FlushMode::kDurable).ok());
  REQUIRE(f.chunks.syncs == 1);
  REQUIRE(f.chunks.synced == 2);
  REQUIRE(f.meta.calls(wire::METHOD_SYNC_METADATA) == 1);
}

TEST_CASE("when another session writes too, the file leaves the record", "[client][file_writer]") {
  Fixture f;
  REQUIRE(f.Write(0, "mine").ok());
  {
    absl::MutexLock lock(&f.inode->mu);
    f.inode->entry.set_other_writers(true);
  }
  REQUIRE(f.Flush().ok());
  REQUIRE_FALSE(f.meta.File(5).is_inline());
  REQUIRE(f.Read(0, 10) == "mine");
}

TEST_CASE("a lost race for the inline content is merged, not overwritten",
          "[client][file_writer]") {
  Fixture f;
  REQUIRE(f.Write(0, "aa").ok());
  f.meta.Change(5, [](wire::Entry& e) {
    e.set_inline_data("zzzz");
    e.mutable_attr()->set_size(4);
  });
  REQUIRE(f.Flush().ok());
  REQUIRE(f.meta.File(5).inline_data() == "aazz");
}

TEST_CASE("a file that left the record meanwhile gets its bytes as chunks",
          "[client][file_writer]") {
  Fixture f;
  REQUIRE(f.Write(1, "b").ok());
  const uint64_t content = f.meta.File(5).layout().content_id();
  f.chunks.chunks[{content, 0}] = "xxx";
  f.meta.Change(5, [](wire::Entry& e) {
    e.set_is_inline(false);
    e.mutable_attr()->set_size(3);
  });
  REQUIRE(f.Flush().ok());
  REQUIRE((f.chunks.chunks[{content, 0}]) == "xbx");
  REQUIRE(f.Read(0, 10) == "xbx");
}

TEST_CASE("sequential writes become whole chunks in the background", "[client][file_writer]") {
  Fixture f;
  const std::string piece(8192, 'p');
  for (uint64_t at = 0; at < 4 * kChunk; at += piece.size()) REQUIRE(f.Write(at, piece).ok());
  REQUIRE(f.Flush().ok());
  REQUIRE(f.chunks.sizes == std::vector<size_t>(4, kChunk));
  REQUIRE(f.writer->memory().used() == 0);
}

TEST_CASE("a read sees what is written, on its way or not", "[client][file_writer]") {
  Fixture f;
  REQUIRE(f.Write(0, std::string(2 * kChunk, 'o')).ok());
  REQUIRE(f.Flush().ok());
  f.chunks.SetOpen(false);
  REQUIRE(f.Write(0, std::string(kChunk, 'n')).ok());  // whole: its sending begins
  REQUIRE(f.Write(10, "later").ok());
  REQUIRE(f.Read(8, 9) == "nnlaternn");
  REQUIRE(f.Read(kChunk - 1, 2) == "no");
  f.chunks.SetOpen(true);
  REQUIRE(f.Flush().ok());
  REQUIRE(f.Read(8, 9) == "nnlaternn");
}

TEST_CASE("writes of one chunk carry one channel and growing sequences", "[client][file_writer]") {
  Fixture f;
  for (int i = 0; i < 5; ++i) {
    REQUIRE(f.Write(0, std::string(5000 + i, 'a')).ok());
    REQUIRE(f.Flush().ok());
  }
  REQUIRE(f.chunks.stamps.size() == 5);
  for (size_t i = 1; i < 5; ++i) {
    REQUIRE(f.chunks.stamps[i].channel == f.chunks.stamps[0].channel);
    REQUIRE(f.chunks.stamps[i].sequence > f.chunks.stamps[i - 1].sequence);
    REQUIRE(f.chunks.stamps[i].session == f.session);
  }
}

TEST_CASE("dirty memory is bounded and writers wait for room", "[client][file_writer]") {
  Fixture f(/*dirty_limit=*/4 * kChunk);
  const std::string piece(4096, 'q');
  for (uint64_t at = 0; at < 40 * kChunk; at += piece.size()) {
    REQUIRE(f.Write(at, piece).ok());
    REQUIRE(f.writer->memory().used() <= 4 * kChunk);
  }
  REQUIRE(f.Flush().ok());
  REQUIRE(f.meta.File(5).attr().size() == 40 * kChunk);
}

TEST_CASE("bytes that cannot be written are an error of the flush and then forgotten",
          "[client][file_writer]") {
  Fixture f;
  f.chunks.FailWrites(PosixError(ENOSPC, "full"));
  REQUIRE(f.Write(0, std::string(kChunk * 3, 'x')).ok());
  REQUIRE(ErrnoOf(f.Flush()) == ENOSPC);
  {
    absl::MutexLock lock(&f.inode->mu);
    REQUIRE(f.inode->error_number >= 1);
    REQUIRE_FALSE(f.inode->dirty());
  }
  REQUIRE(f.size() == 0);
  REQUIRE(f.writer->memory().used() == 0);
  f.chunks.FailWrites(absl::OkStatus());
  REQUIRE(f.Write(0, std::string(kChunk, 'y')).ok());
  REQUIRE(f.Flush().ok());
  REQUIRE(f.Read(0, 1) == "y");
}

TEST_CASE("what a failed write left beyond the end is not seen when the file grows",
          "[client][file_writer]") {
  Fixture f;
  const std::string whole(kChunk, 'w');
  REQUIRE(f.Write(0, whole).ok());
  REQUIRE(f.Flush().ok());
  REQUIRE(f.Write(2 * kChunk, whole).ok());  // whole: it is sent at once
  while (f.chunks.written() < 2) absl::SleepFor(absl::Milliseconds(1));
  f.chunks.FailWrites(PosixError(ENOSPC, "full"), 1);
  REQUIRE(f.Write(kChunk, whole).ok());
  SECTION("cut off at once") {
    REQUIRE(ErrnoOf(f.Flush()) == ENOSPC);
    REQUIRE(f.size() == kChunk);
    REQUIRE(f.chunks.chunks.size() == 1);
  }
  SECTION("or before the file grows") {
    f.chunks.FailChanges(PosixError(ENOSPC, "full"));
    REQUIRE(ErrnoOf(f.Flush()) == ENOSPC);
    f.chunks.FailWrites(absl::OkStatus());
    REQUIRE(f.Write(5, "within").ok());
    REQUIRE(f.Flush().ok());
    REQUIRE(ErrnoOf(f.Write(3 * kChunk, "beyond")) == ENOSPC);
    REQUIRE(ErrnoOf(f.SetSize(4 * kChunk)) == ENOSPC);
    REQUIRE(f.size() == kChunk);
    f.chunks.FailChanges(absl::OkStatus());
  }
  f.chunks.FailWrites(absl::OkStatus());
  REQUIRE(f.Write(3 * kChunk, "beyond").ok());
  REQUIRE(f.Flush().ok());
  REQUIRE(f.Read(2 * kChunk, 4) == std::string(4, '\0'));
  REQUIRE(f.Read(3 * kChunk, 6) == "beyond");
}

TEST_CASE("a lost session makes its unwritten bytes an error", "[client][file_writer]") {
  Fixture f;
  REQUIRE(f.Write(0, "unwritten").ok());
  f.session = SessionId(78);
  f.writer->LoseSession(SessionId(77));
  absl::MutexLock lock(&f.inode->mu);
  REQUIRE(ErrnoOf(f.inode->error) == EIO);
  REQUIRE_FALSE(f.inode->dirty());
}

TEST_CASE("truncation cuts chunks and reads zeros where the file grows again",
          "[client][file_writer]") {
  Fixture f;
  REQUIRE(f.Write(0, std::string(3 * kChunk, 'd')).ok());
  REQUIRE(f.SetSize(kChunk + 10).ok());
  REQUIRE(f.size() == kChunk + 10);
  REQUIRE(f.meta.calls(wire::METHOD_TRUNCATE_DONE) == 1);
  REQUIRE(f.chunks.chunks.size() == 2);
  REQUIRE(f.SetSize(3 * kChunk).ok());
  REQUIRE(f.Read(kChunk + 8, 4) == std::string("dd\0\0", 4));
}

TEST_CASE("truncation to nothing gives a new content that old writes cannot reach",
          "[client][file_writer]") {
  Fixture f;
  REQUIRE(f.Write(0, std::string(2 * kChunk, 'd')).ok());
  REQUIRE(f.Flush().ok());
  const uint64_t before = f.meta.File(5).layout().content_id();
  REQUIRE(f.Write(5, "dropped").ok());
  REQUIRE(f.SetSize(0).ok());
  REQUIRE(f.size() == 0);
  REQUIRE(f.meta.File(5).layout().content_id() != before);
  REQUIRE(f.Write(0, std::string(5000, 'n')).ok());
  REQUIRE(f.Flush().ok());
  REQUIRE(f.chunks.syncs == 1);  // the old content is gone: the new one must be safe
  REQUIRE(f.Read(0, 5000) == std::string(5000, 'n'));
}

TEST_CASE("bytes on their way to a content that was truncated away are not seen again",
          "[client][file_writer]") {
  Fixture f;
  REQUIRE(f.Write(0, std::string(2 * kChunk, 'd')).ok());
  REQUIRE(f.Flush().ok());
  f.chunks.SetOpen(false);
  REQUIRE(f.Write(0, std::string(kChunk, 'o')).ok());  // whole: it is sent at once
  auto in_flight = [&] {
    absl::MutexLock lock(&f.inode->mu);
    return f.inode->chunks.begin()->second.in_flight;
  };
  while (!in_flight()) absl::SleepFor(absl::Milliseconds(1));
  REQUIRE(f.SetSize(0).ok());
  REQUIRE(f.Write(kChunk / 2, "new").ok());
  REQUIRE(f.size() == kChunk / 2 + 3);
  f.chunks.SetOpen(true);
  const std::string expected = std::string(kChunk / 2, '\0') + "new";
  REQUIRE(f.Read(0, kChunk) == expected);
  REQUIRE(f.Flush().ok());
  REQUIRE(f.Read(0, kChunk) == expected);
}

TEST_CASE("a flush of inline content leaves alone what is on its way to an earlier content",
          "[client][file_writer]") {
  Fixture f;
  REQUIRE(f.Write(0, std::string(2 * kChunk, 'd')).ok());
  REQUIRE(f.Flush().ok());
  f.chunks.SetOpen(false);
  REQUIRE(f.Write(0, std::string(kChunk, 'o')).ok());
  auto in_flight = [&] {
    absl::MutexLock lock(&f.inode->mu);
    return !f.inode->chunks.empty() && f.inode->chunks.begin()->second.in_flight;
  };
  while (!in_flight()) absl::SleepFor(absl::Milliseconds(1));
  REQUIRE(f.SetSize(0).ok());
  REQUIRE(f.Write(0, "new").ok());
  REQUIRE(f.Flush().ok());
  // Else two would send chunk 0, and the first to end would free what the other one reads.
  REQUIRE(in_flight());
  REQUIRE(f.Write(0, std::string(kChunk, 'n')).ok());
  f.chunks.SetOpen(true);
  REQUIRE(f.Flush().ok());
  REQUIRE(f.Read(0, kChunk) == std::string(kChunk, 'n'));
}

TEST_CASE("bytes of a session that ended are not published in the next one",
          "[client][file_writer]") {
  Fixture f;
  const bool small = GENERATE(true, false);
  const std::string bytes(small ? 9 : 2 * kChunk, 'x');
  REQUIRE(f.Write(0, bytes).ok());
  f.session = SessionId(78);  // LoseSession() has not come yet
  f.meta.session = f.session;
  const absl::Status lost = f.Flush();
  REQUIRE(ErrnoOf(lost) == EIO);
  REQUIRE(f.meta.File(5).attr().size() == 0);
  f.writer->LoseSession(SessionId(77));
  {
    absl::MutexLock lock(&f.inode->mu);
    REQUIRE(f.inode->error_number == 1);  // said once
    REQUIRE_FALSE(f.inode->dirty());
  }
  REQUIRE(f.Write(0, "later").ok());
  REQUIRE(f.Flush().ok());
  REQUIRE(f.Read(0, 9) == "later");
}

TEST_CASE("an inline file grown by truncation moves to chunk 0", "[client][file_writer]") {
  Fixture f;
  REQUIRE(f.Write(0, "head").ok());
  REQUIRE(f.Flush().ok());
  REQUIRE(f.SetSize(10'000).ok());
  REQUIRE_FALSE(f.meta.File(5).is_inline());
  REQUIRE(f.Read(0, 6) == std::string("head\0\0", 6));
  REQUIRE(f.size() == 10'000);
}

TEST_CASE("zeroing works over chunk borders and in inline files", "[client][file_writer]") {
  Fixture f;
  REQUIRE(f.Write(0, std::string(3 * kChunk, 'z')).ok());
  REQUIRE(f.writer->Zero(f.inode, kChunk - 2, kChunk + 4, f.op).ok());
  REQUIRE(f.Read(kChunk - 3, 4) == std::string("z\0\0\0", 4));
  REQUIRE(f.Read(2 * kChunk, 3) == std::string("\0\0z", 3));
  REQUIRE(f.Flush().ok());
  Fixture g;
  REQUIRE(g.Write(0, "abcdef").ok());
  REQUIRE(g.writer->Zero(g.inode, 2, 100, g.op).ok());
  REQUIRE(g.Read(0, 10) == std::string("ab\0\0\0\0", 6));
}

TEST_CASE("data and holes are found by what the servers and this mount hold",
          "[client][file_reader]") {
  Fixture f;
  REQUIRE(f.Write(2 * kChunk, std::string(10, 'd')).ok());
  REQUIRE(f.Flush().ok());
  REQUIRE(f.SetSize(5 * kChunk).ok());
  REQUIRE(*f.reader.Seek(f.inode, 0, true, f.op) == 2 * kChunk);
  REQUIRE(*f.reader.Seek(f.inode, 0, false, f.op) == 0);
  REQUIRE(*f.reader.Seek(f.inode, 2 * kChunk, false, f.op) == 2 * kChunk + 10);
  REQUIRE(ErrnoOf(f.reader.Seek(f.inode, 3 * kChunk, true, f.op).status()) == ENXIO);
  REQUIRE(f.Write(4 * kChunk, "x").ok());
  REQUIRE(*f.reader.Seek(f.inode, 3 * kChunk, true, f.op) == 4 * kChunk);
  REQUIRE(ErrnoOf(f.reader.Seek(f.inode, 5 * kChunk, true, f.op).status()) == ENXIO);
}

TEST_CASE("zeros are not believed when the file has another content meanwhile",
          "[client][file_reader]") {
  Fixture f;
  REQUIRE(f.Write(0, std::string(kChunk, 'o')).ok());
  REQUIRE(f.Flush().ok());
  const uint64_t old_content = f.meta.File(5).layout().content_id();
  f.chunks.chunks.erase({old_content, 0});  // another mount truncated, and the old chunks are gone
  f.chunks.chunks[{4711, 0}] = std::string(kChunk, 'n');
  f.meta.Change(5, [](wire::Entry& e) { e.mutable_layout()->set_content_id(4711); });
  REQUIRE(f.Read(0, 3) == "nnn");
}

TEST_CASE("random operations equal those on a plain string", "[client][file_writer][random]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  Fixture f(/*dirty_limit=*/8 * kChunk);
  std::string model;
  const uint64_t limit = 6 * kChunk;
  for (int i = 0; i < 400; ++i) {
    const uint64_t offset = random() % limit;
    const uint64_t length = 1 + random() % (random() % 4 == 0 ? 2 * kChunk : 3000);
    switch (random() % 8) {
      case 0:
      case 1:
      case 2: {
        const std::string data(length, static_cast<char>('a' + random() % 26));
        REQUIRE(f.Write(offset, data).ok());
        if (model.size() < offset + length) model.resize(offset + length, '\0');
        model.replace(offset, length, data);
        break;
      }
      case 3:
        REQUIRE(f.Flush(random() % 2 ? FlushMode::kPublish : FlushMode::kDurable).ok());
        break;
      case 4: {
        const uint64_t size = random() % 3 == 0 ? random() % 5000 : offset;
        REQUIRE(f.SetSize(size).ok());
        model.resize(size, '\0');
        break;
      }
      case 5: {
        REQUIRE(f.writer->Zero(f.inode, offset, length, f.op).ok());
        for (uint64_t b = offset; b < std::min<uint64_t>(offset + length, model.size()); ++b) {
          model[b] = '\0';
        }
        break;
      }
      default: {
        const std::string got = f.Read(offset, length);
        REQUIRE(got == (offset < model.size() ? model.substr(offset, length) : ""));
      }
    }
    REQUIRE(f.size() == model.size());
  }
  REQUIRE(f.Read(0, limit * 2) == model);
}

}  // namespace
}  // namespace penstock::client

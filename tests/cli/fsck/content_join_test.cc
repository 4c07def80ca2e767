#include "cli/fsck/content_join.h"

#include <catch2/catch.hpp>

#include <random>

#include "cli/fsck/copy_compare.h"
#include "cli/fsck/recheck.h"
#include "common/content_seed.h"
#include "common/placement.h"

namespace penstock::cli {
namespace {

constexpr uint64_t kMib = 1 << 20;

FileRow File(uint64_t content, uint64_t size, uint64_t allocated) {
  FileRow file{.content = content, .ino = content + 5, .size = size, .allocated = allocated};
  file.seed = SeedOfContent(ContentId(content));
  file.chunk_size_log2 = 20;
  return file;
}
ChunkRow Chunk(uint64_t content, uint32_t index, uint32_t length) {
  return {content, index, ChunkPosition(SeedOfContent(ContentId(content)), index), length, 1};
}

struct Found {
  std::vector<LeakedContent> leaked;
  std::vector<FileSuspect> files;
  size_t misplaced = 0;
};
Found Join(const std::vector<FileRow>& file_rows, const std::vector<ChunkRow>& chunk_rows) {
  SpillSort<FileRow> files("/tmp", 2);
  SpillSort<ChunkRow> chunks("/tmp", 2);
  for (const FileRow& row : file_rows) REQUIRE(files.Add(row).ok());
  for (const ChunkRow& row : chunk_rows) REQUIRE(chunks.Add(row).ok());
  REQUIRE(files.Sort().ok());
  REQUIRE(chunks.Sort().ok());
  Found found;
  REQUIRE(JoinContents(files, chunks,
                       {[&](const LeakedContent& l) { found.leaked.push_back(l); },
                        [&](const FileSuspect& f) { found.files.push_back(f); },
                        [&](const FileRow&, const ChunkRow&) { ++found.misplaced; }})
              .ok());
  return found;
}

}  // namespace

TEST_CASE("files whose chunks are as their records say are no suspects", "[cli][fsck]") {
  FileRow is_inline = File(9, 100, 0);
  is_inline.is_inline = true;
  const Found found = Join(
      {File(1, 2 * kMib + 10, 2 * kMib + 10), File(2, 50 * kMib, 0), is_inline},
      {Chunk(1, 0, kMib), Chunk(1, 1, kMib), Chunk(1, 2, 10), Chunk(1, 1, kMib),  // listed twice
       Chunk(9, 0, 4000)});
  REQUIRE(found.leaked.empty());
  REQUIRE(found.files.empty());
  REQUIRE(found.misplaced == 0);
}

TEST_CASE("chunks of no file, behind a file's end, missing and misplaced ones are suspects",
          "[cli][fsck]") {
  const Found leaked = Join({File(1, 10, 10), {.content = 3}},
                            {Chunk(0x70, 4, 100), Chunk(0x70, 7, 50), Chunk(1, 0, 10),
                             Chunk(3, 0, 10)});  // 3 is dead: it is being deleted
  REQUIRE(leaked.leaked.size() == 1);
  REQUIRE(leaked.leaked[0].chunks == 2);
  REQUIRE(leaked.leaked[0].last_index == 7);
  REQUIRE(leaked.leaked[0].bytes == 150);
  REQUIRE(leaked.files.empty());
  const Found beyond =
      Join({File(1, kMib + 10, kMib + 10)}, {Chunk(1, 0, kMib), Chunk(1, 1, 30), Chunk(1, 5, 7)});
  REQUIRE(beyond.files.size() == 1);
  REQUIRE(beyond.files[0].beyond_bytes == 5 * kMib + 7 - (kMib + 10));
  REQUIRE(beyond.files[0].farthest.index == 5);
  REQUIRE_FALSE(beyond.files[0].missing);
  const Found missing = Join({File(1, 3 * kMib, 3 * kMib)}, {Chunk(1, 0, kMib), Chunk(1, 2, kMib)});
  REQUIRE(missing.files.size() == 1);
  REQUIRE(missing.files[0].missing);
  ChunkRow wrong = Chunk(1, 0, 10);
  ++wrong.position;
  REQUIRE(Join({File(1, 10, 0)}, {wrong}).misplaced == 1);
}

TEST_CASE("rows are sorted beyond memory, and can be read again", "[cli][fsck]") {
  SpillSort<ChunkRow> sorted("/tmp", 100);
  std::mt19937_64 random(7);
  for (int i = 0; i < 5000; ++i) REQUIRE(sorted.Add({.content = random()}).ok());
  REQUIRE(sorted.Sort().ok());
  for (int round = 0; round < 2; ++round) {
    ChunkRow row;
    uint64_t last = 0;
    int count = 0;
    while (*sorted.Next(row)) {
      REQUIRE(row.content >= last);
      last = row.content;
      ++count;
    }
    REQUIRE(count == 5000);
    REQUIRE(sorted.Rewind().ok());
  }
}

TEST_CASE("copies agree, are under way, differ or are damaged", "[cli][fsck]") {
  const CopySeen old{TargetId(1), true, false, false, {3, 4}, 10};
  CopySeen newer{TargetId(2), true, false, false, {3, 5}, 12};
  const CopySeen none{TargetId(3)};
  REQUIRE(JudgeCopies({none, none}).verdict == CopyVerdict::kSame);
  REQUIRE(JudgeCopies({newer, newer}).verdict == CopyVerdict::kSame);
  JudgedCopies judged = JudgeCopies({old, newer, none});
  REQUIRE(judged.verdict == CopyVerdict::kDiffer);
  REQUIRE(judged.behind == std::vector<TargetId>{TargetId(1), TargetId(3)});
  REQUIRE(judged.length == 12);
  newer.pending = true;
  REQUIRE(JudgeCopies({old, newer}).verdict == CopyVerdict::kInFlight);
  CopySeen damaged = newer;
  damaged.quarantined = true;
  judged = JudgeCopies({damaged});
  REQUIRE(judged.verdict == CopyVerdict::kDamaged);
  REQUIRE(judged.behind.empty());  // the last copy: nobody can mend it
  REQUIRE(JudgeCopies({damaged, old}).behind == std::vector<TargetId>{TargetId(2)});
  CopySeen shorter = old;
  shorter.length = 9;
  REQUIRE(JudgeCopies({old, shorter}).behind.empty());  // nobody can say which is right
}

namespace {

// A cluster that answers what the test says.
struct Answers {
  Recheck Make() {
    return Recheck(
        {.ask = [this](uint32_t, const ChunkKey&) -> absl::StatusOr<std::vector<CopySeen>> {
           const size_t at = std::min(asked++, copies.size() - 1);
           return copies[at];
         },
         .describe = [this](uint64_t) -> absl::StatusOr<wire::InodeFacts> {
           const size_t at = std::min(described++, facts.size() - 1);
           return facts[at];
         },
         .group_of = [](uint32_t, const ChunkKey&) { return 5u; },
         .sleep = [](absl::Duration) {}},
        [this](Problem problem) { problems.push_back(std::move(problem)); });
  }
  std::vector<std::vector<CopySeen>> copies;
  std::vector<wire::InodeFacts> facts;
  size_t asked = 0, described = 0;
  std::vector<Problem> problems;
};

wire::InodeFacts Closed(const FileRow& file) {
  wire::InodeFacts facts;
  facts.set_ino(file.ino);
  facts.set_mode(0100644);
  facts.set_size(file.size);
  facts.set_content_id(file.content);
  facts.set_allocated(file.allocated);
  facts.set_storage_class(1);
  return facts;
}

CopySeen Copy(uint32_t target, uint64_t sequence, uint32_t length = 10) {
  return {
      TargetId(target), sequence != 0, false, false, {sequence != 0 ? 1u : 0u, sequence}, length};
}

}  // namespace

TEST_CASE("copies that only differ while they are written are no problem", "[cli][fsck]") {
  Answers settles;
  settles.copies = {{Copy(1, 2), Copy(2, 1)}, {Copy(1, 3), Copy(2, 2)}, {Copy(1, 3), Copy(2, 3)}};
  REQUIRE(settles.Make().Copies(1, {}).ok());
  REQUIRE(settles.problems.empty());
  Answers stays;
  stays.copies = {{Copy(1, 2), Copy(2, 1)}};
  REQUIRE(stays.Make().Copies(1, {}).ok());
  REQUIRE(stays.problems.size() == 1);
  REQUIRE(stays.problems[0].fix->kind() == wire::Fix::SYNC_COPY);
  REQUIRE(stays.problems[0].fix->target_id() == 2);
  REQUIRE(stays.problems[0].fix->group() == 5);
}

TEST_CASE("a file that is open, or changes meanwhile, is no problem", "[cli][fsck]") {
  const FileRow file = File(1, 10, 10);
  const FileSuspect beyond{.file = file, .beyond_bytes = 20, .farthest = Chunk(1, 0, 30)};
  Answers open;
  open.copies = {{Copy(1, 1, 30)}};
  open.facts = {Closed(file)};
  open.facts[0].set_open_for_writing(true);
  REQUIRE(open.Make().File(beyond).ok());
  REQUIRE(open.problems.empty());
  Answers changes;
  changes.copies = open.copies;
  changes.facts = {Closed(file), Closed(file)};
  changes.facts[1].set_change(2);
  REQUIRE(changes.Make().File(beyond).ok());
  REQUIRE(changes.problems.empty());
  Answers closed;
  closed.copies = open.copies;
  closed.facts = {Closed(file)};
  REQUIRE(closed.Make().File(beyond).ok());
  REQUIRE(closed.problems.size() == 1);
  REQUIRE(closed.problems[0].kind == ProblemKind::kBeyondSize);
  REQUIRE(closed.problems[0].fix->beyond_bytes() == 20);
}

TEST_CASE("missing bytes and leaked chunks must be so at the second look", "[cli][fsck]") {
  const FileRow file = File(1, 200'000, 200'000);
  const FileSuspect missing{.file = file, .missing = true};
  Answers written;
  written.facts = {Closed(file)};
  written.copies = {{Copy(1, 1, 200'000)}};
  REQUIRE(written.Make().File(missing).ok());
  REQUIRE(written.problems.empty());
  Answers lost;
  lost.facts = {Closed(file)};
  lost.copies = {{Copy(1, 0, 0)}};
  REQUIRE(lost.Make().File(missing).ok());
  REQUIRE(lost.problems.size() == 1);
  REQUIRE_FALSE(lost.problems[0].fix.has_value());
  const LeakedContent leaked{.content = 1,
                             .storage_class = 1,
                             .chunks = 1,
                             .bytes = 9,
                             .last_index = 3,
                             .first = Chunk(1, 3, 9)};
  Answers deleted;
  deleted.copies = {{Copy(1, 0, 0)}};
  REQUIRE(deleted.Make().Leaked(leaked).ok());
  REQUIRE(deleted.problems.empty());
  Answers there;
  there.copies = {{Copy(1, 1, 9)}};
  REQUIRE(there.Make().Leaked(leaked).ok());
  REQUIRE(there.problems.size() == 1);
  REQUIRE(there.problems[0].fix->layout().seed() == SeedOfContent(ContentId(1)));
  REQUIRE(there.problems[0].fix->chunk_count() == 4);
}

}  // namespace penstock::cli

#include "cli/backup_contents.h"

#include <catch2/catch.hpp>

#include "cli/progress_line.h"
#include "common/backup_file.h"
#include "common/checksum.h"
#include "tests/testing/temp_dir.h"

namespace penstock::cli {
namespace {

wire::BackupStart Start() {
  wire::BackupStart start;
  start.set_cluster_id("c");
  start.set_log_index(5);
  return start;
}
wire::BackupBlock Block() {
  wire::BackupBlock block;
  block.set_family(2);
  block.set_records(3);
  block.set_data("abc");
  block.set_crc32c(Crc32c("abc"));
  return block;
}
wire::BackupEnd End() {
  wire::BackupEnd end;
  for (uint64_t records : {0, 0, 3, 0}) end.add_records(records);
  end.set_bytes(3);
  end.set_blocks(1);
  return end;
}

}  // namespace

TEST_CASE("a backup's parts must be in order, whole and add up", "[cli][backup]") {
  BackupSums sums;
  REQUIRE(sums.Start(Start()).ok());
  wire::BackupBlock wrong = Block();
  wrong.set_data("abd");
  REQUIRE_FALSE(sums.Block(wrong).ok());
  REQUIRE_FALSE(sums.End(End()).ok());  // a block is missing
  REQUIRE(sums.Block(Block()).ok());
  REQUIRE(sums.End(End()).ok());
  REQUIRE(sums.ended());
  REQUIRE(sums.records() == 3);
  REQUIRE_FALSE(sums.Block(Block()).ok());
  REQUIRE_FALSE(BackupSums().Block(Block()).ok());
}

TEST_CASE("a backup file is described only when all of it holds", "[cli][backup]") {
  testing::TempDir dir;
  const std::string path = dir.path() + "/b";
  auto writer = BackupWriter::Create(path, PosixFileSystem());
  REQUIRE((*writer)->Append(BackupFrame::kStart, Start().SerializeAsString()).ok());
  REQUIRE((*writer)->Append(BackupFrame::kBlock, Block().SerializeAsString()).ok());
  REQUIRE((*writer)->Append(BackupFrame::kEnd, End().SerializeAsString()).ok());
  REQUIRE((*writer)->Finish().ok());
  uint64_t read = 0;
  auto contents = CheckBackup(path, PosixFileSystem(), [&](uint64_t bytes) { read = bytes; });
  REQUIRE(contents.ok());
  REQUIRE(contents->start.log_index() == 5);
  REQUIRE(contents->file_bytes == read);
}

TEST_CASE("progress tells what is done, the rate and the rest", "[cli]") {
  Progress progress{.doing = "backup", .done = 100, .total = 400, .thing = "record"};
  REQUIRE(ProgressText(progress) == "backup: 100 of about 400 records");
  progress.bytes = 2048;
  progress.passed = absl::Seconds(10);
  REQUIRE(ProgressText(progress) ==
          "backup: 100 of about 400 records, 2.0 KiB, 204 B/s, about 30.0 s to go");
  progress.done = 500;
  progress.bytes = 0;
  REQUIRE(ProgressText(progress) == "backup: 500 records, 50/s");
}

}  // namespace penstock::cli

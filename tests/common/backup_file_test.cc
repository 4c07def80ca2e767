#include "common/backup_file.h"

#include <catch2/catch.hpp>

#include "common/checksum.h"
#include "tests/testing/temp_dir.h"

namespace penstock {
namespace {

std::string Write(const std::string& path) {
  auto writer = BackupWriter::Create(path, PosixFileSystem());
  REQUIRE(writer.ok());
  REQUIRE((*writer)->Append(BackupFrame::kStart, "start").ok());
  REQUIRE((*writer)->Append(BackupFrame::kBlock, std::string(100000, 'x')).ok());
  REQUIRE((*writer)->Append(BackupFrame::kBlock, "").ok());
  REQUIRE((*writer)->Append(BackupFrame::kEnd, "end").ok());
  REQUIRE((*writer)->Finish().ok());
  return *ReadSmallFile(PosixFileSystem(), path);
}

// Reads all; the first error, OK when the file is whole.
absl::Status ReadAll(const std::string& path) {
  auto reader = BackupReader::Open(path, PosixFileSystem());
  if (!reader.ok()) return reader.status();
  while (true) {
    auto read = (*reader)->Next();
    if (absl::IsOutOfRange(read.status())) return absl::OkStatus();
    if (!read.ok()) return read.status();
  }
}

}  // namespace

TEST_CASE("a backup file gives back its frames", "[common][backup]") {
  testing::TempDir dir;
  const std::string path = dir.path() + "/b";
  const std::string bytes = Write(path);
  REQUIRE(bytes.size() < 1000);  // compressed
  REQUIRE(PosixFileSystem()->List(dir.path()).value() == std::vector<std::string>{"b"});
  auto reader = BackupReader::Open(path, PosixFileSystem());
  REQUIRE(reader.ok());
  REQUIRE((*reader)->Next()->payload == "start");
  REQUIRE((*reader)->Next()->payload == std::string(100000, 'x'));
  REQUIRE((*reader)->Next()->payload.empty());
  auto end = (*reader)->Next();
  REQUIRE(end->frame == BackupFrame::kEnd);
  REQUIRE(absl::IsOutOfRange((*reader)->Next().status()));
}

TEST_CASE("every flipped bit, cut and lost frame of a backup file is found", "[common][backup]") {
  testing::TempDir dir;
  const std::string path = dir.path() + "/b";
  const std::string whole = Write(path);
  auto damaged = [&](const std::string& bytes) {
    REQUIRE(WriteSmallFile(PosixFileSystem(), path, bytes).ok());
    return !ReadAll(path).ok();
  };
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string flipped = whole;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x10);
    INFO("byte " << i);
    REQUIRE(damaged(flipped));
  }
  for (size_t length = 0; length < whole.size(); ++length) {
    REQUIRE(damaged(whole.substr(0, length)));
  }
  REQUIRE(damaged(whole + "x"));
  REQUIRE(damaged(whole.substr(0, 16) + whole.substr(16 + 24 + 5)));  // without its first frame
  REQUIRE_FALSE(damaged(whole));
}

TEST_CASE("a backup file of a later format is refused by name", "[common][backup]") {
  testing::TempDir dir;
  const std::string path = dir.path() + "/b";
  std::string bytes = Write(path);
  bytes[8] = 2;
  const uint32_t crc = Crc32c(std::string_view(bytes).substr(0, 12));
  for (int i = 0; i < 4; ++i) bytes[12 + i] = static_cast<char>(crc >> (8 * i));
  REQUIRE(WriteSmallFile(PosixFileSystem(), path, bytes).ok());
  REQUIRE(absl::IsFailedPrecondition(ReadAll(path)));
}

TEST_CASE("an unfinished backup leaves nothing, and none is overwritten", "[common][backup]") {
  testing::TempDir dir;
  const std::string path = dir.path() + "/b";
  {
    auto writer = BackupWriter::Create(path, PosixFileSystem());
    REQUIRE((*writer)->Append(BackupFrame::kStart, "start").ok());
  }
  REQUIRE(PosixFileSystem()->List(dir.path())->empty());
  Write(path);
  REQUIRE(absl::IsAlreadyExists(BackupWriter::Create(path, PosixFileSystem()).status()));
}

}  // namespace penstock

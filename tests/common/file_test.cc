#include "common/file.h"

#include <sys/stat.h>
#include <catch2/catch.hpp>

#include <cerrno>
#include <cstdlib>
#include <string>

#include "common/status.h"
#include "tests/testing/temp_dir.h"

using namespace penstock;

TEST_CASE("files read what was written, and short only at the end", "[common][file]") {
  testing::TempDir dir;
  FileSystem* fs = PosixFileSystem();
  auto file = fs->Open(dir.path() + "/f", {.create = true}).value();
  REQUIRE(file->Write(5, "hello").ok());
  std::string bytes(20, 'x');
  REQUIRE(file->Read(3, absl::MakeSpan(bytes)).value() == 7);
  REQUIRE(bytes.substr(0, 7) == std::string("\0\0hello", 7));
  REQUIRE(file->Size().value() == 10);
  REQUIRE(file->Truncate(6).ok());
  REQUIRE(file->Size().value() == 6);
}

TEST_CASE("a missing file gives ENOENT and its path", "[common][file]") {
  testing::TempDir dir;
  auto opened = PosixFileSystem()->Open(dir.path() + "/none", {});
  REQUIRE(ErrnoOf(opened.status()) == ENOENT);
  REQUIRE(ToStd(opened.status().message()).find("/none") != std::string_view::npos);
}

TEST_CASE("a small file is replaced whole", "[common][file]") {
  testing::TempDir dir;
  FileSystem* fs = PosixFileSystem();
  std::string path = dir.path() + "/settings";
  REQUIRE(WriteSmallFile(fs, path, "one").ok());
  REQUIRE(WriteSmallFile(fs, path, "two!").ok());
  REQUIRE(ReadSmallFile(fs, path).value() == "two!");
  REQUIRE(ErrnoOf(ReadSmallFile(fs, path, 3).status()) == EFBIG);
  REQUIRE(fs->List(dir.path()).value() == std::vector<std::string>{"settings"});
}

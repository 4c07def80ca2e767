#include "common/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

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

TEST_CASE("a read from the disk itself gives the same bytes at any offset", "[common][file]") {
  testing::TempDir dir;
  auto file = PosixFileSystem()->Open(dir.path() + "/f", {.create = true}).value();
  std::string written(70'001, 'x');
  for (size_t i = 0; i < written.size(); ++i) written[i] = static_cast<char>(i * 131 / 7);
  REQUIRE(file->Write(0, written).ok());
  const auto read = [&](uint64_t offset, size_t length) {
    std::string bytes(length, '?');
    bytes.resize(file->ReadFromDisk(offset, absl::MakeSpan(bytes)).value());
    return bytes;
  };
  for (const uint64_t offset : {0u, 1u, 511u, 4095u, 4096u, 8191u, 65'536u, 70'000u}) {
    for (const size_t length : {0u, 1u, 512u, 4096u, 5000u, 70'001u}) {
      INFO("offset " << offset << " length " << length);
      REQUIRE(read(offset, length) == written.substr(offset, length));
    }
  }
  REQUIRE(read(70'001, 10).empty());
  REQUIRE(read(1'000'000, 10).empty());
  REQUIRE(file->Write(4095, "fresh").ok());  // not synced
  REQUIRE(read(4095, 5) == "fresh");
}

TEST_CASE("a read from the disk itself fills no page cache", "[common][file]") {
  testing::TempDir dir;
  const std::string path = dir.path() + "/f";
  const int direct = open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
  if (direct < 0) {
    WARN("skipped: no O_DIRECT on " << dir.path());
    return;
  }
  close(direct);
  auto file = PosixFileSystem()->Open(path, {}).value();
  constexpr size_t kPages = 64;
  REQUIRE(file->Write(0, std::string(kPages * 4096, 'x')).ok());
  REQUIRE(file->DataSync().ok());
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
  void* mapped = mmap(nullptr, kPages * 4096, PROT_READ, MAP_SHARED, fd, 0);
  REQUIRE(mapped != MAP_FAILED);
  const auto resident = [&] {
    std::vector<unsigned char> pages(kPages);
    REQUIRE(mincore(mapped, kPages * 4096, pages.data()) == 0);
    return std::count_if(pages.begin(), pages.end(), [](auto page) { return (page & 1) != 0; });
  };
  std::string bytes(kPages * 4096, '?');
  REQUIRE(file->ReadFromDisk(0, absl::MakeSpan(bytes)).value() == bytes.size());
  REQUIRE(resident() == 0);
  REQUIRE(file->Read(0, absl::MakeSpan(bytes)).value() == bytes.size());
  REQUIRE(resident() == kPages);
  munmap(mapped, kPages * 4096);
  close(fd);
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

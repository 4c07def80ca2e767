#include "chunkserver/store/rebuild_index.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>

#include "chunkserver/store/index_keys.h"
#include "tests/chunkserver/store/store_audit.h"
#include "tests/chunkserver/store/store_fixture.h"

namespace penstock::chunkserver {
namespace {

// A closed target with an index in table files, and what its chunks hold.
struct Closed : StoreFixture {
  explicit Closed(std::mt19937_64& random, uint32_t chunks = 150) {
    for (uint32_t i = 0; i < chunks; ++i) {
      contents[i] = RandomBytes(random, 100 + random() % 9000);
      REQUIRE(Write(Key(i), 0, contents[i]).ok());
      if (i % 50 == 49) REQUIRE(store->CheckIndex().ok());  // a table file
    }
    REQUIRE(store->Barrier().ok());
    REQUIRE(store->CheckIndex().ok());
    sequence = store->NextSequence().value();
    store.reset();
  }
  std::vector<std::filesystem::path> IndexFiles(const std::string& begin, const std::string& end) {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(options.dir + "/index")) {
      const std::string name = entry.path().filename();
      if (name.starts_with(begin) && name.ends_with(end)) found.push_back(entry.path());
    }
    std::sort(found.begin(), found.end());
    REQUIRE(!found.empty());
    return found;
  }
  // How many chunks are as they were; the others are absent, or known to be bad.
  uint32_t Right() {
    uint32_t right = 0;
    for (const auto& [i, data] : contents) {
      const auto read = ReadAll(Key(i));
      if (!read.ok()) {
        REQUIRE((absl::IsNotFound(read.status()) || absl::IsDataLoss(read.status())));
        continue;
      }
      REQUIRE(*read == data);
      ++right;
    }
    return right;
  }
  // What is absent of what was written is known to be so, and of what is new nothing is.
  void RequireNoHoles() {
    const GroupId group{1, 0};
    const bool all = Right() == contents.size();
    for (const auto& [i, data] : contents) {
      if (absl::IsNotFound(ReadAll(Key(i)).status())) {
        REQUIRE(store->MayLack(group, Key(i).content));
      }
    }
    REQUIRE((all || store->MayLack(group, ContentId(1))));
    REQUIRE(!store->MayLack(group, ContentId(1'000'000)));
    REQUIRE(store->Followed(group, 0).ok());
    REQUIRE(!store->MayLack(group, ContentId(1)));
  }
  void RequireSound() {
    const IndexReport report = store->CheckIndex().value();
    INFO((report.damage.empty() ? "" : report.damage[0]));
    REQUIRE(report.damage.empty());
    REQUIRE(report.leaked_slots == 0);
    REQUIRE(store->Health().ok());
    REQUIRE(store->NextSequence().value() > sequence);
    REQUIRE(Write(Key(7777), 0, "goes on").ok());
    REQUIRE(store->Barrier().ok());
    Reopen();
    REQUIRE(!store->lost_changes());
    REQUIRE(ReadAll(Key(7777)).value() == "goes on");
  }

  std::map<uint32_t, std::string> contents;
  uint64_t sequence = 0;
};

void Flip(const std::filesystem::path& path, uint64_t at) {
  INFO(path << " at " << at);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const int byte = file.get();
  file.seekp(static_cast<std::streamoff>(at));
  file.put(static_cast<char>(byte ^ 16));
  REQUIRE(file.good());
}

}  // namespace

TEST_CASE("an index is whole after it was made anew from a whole one",
          "[chunkserver][store][index]") {
  std::mt19937_64 random(TestSeed("rebuild whole"));
  Closed f(random);
  const auto rebuilt = RebuildIndex(f.options.dir, f.options.slab_bytes, &f.fs, f.env.get());
  INFO(rebuilt.status());
  REQUIRE(rebuilt.ok());
  REQUIRE(rebuilt->records == f.contents.size());
  REQUIRE(rebuilt->gaps == 0);
  f.Open();
  REQUIRE(!f.store->lost_changes());
  REQUIRE(f.Right() == f.contents.size());
  REQUIRE(f.store->Space().value().chunks == f.contents.size());
  f.RequireSound();
}

TEST_CASE("a table file that is damaged costs only what lies in the damaged place",
          "[chunkserver][store][index]") {
  std::mt19937_64 random(TestSeed("rebuild after flips"));
  const int rounds = TestRounds(6);
  for (int round = 0; round < rounds; ++round) {
    Closed f(random);
    const auto tables = f.IndexFiles("", ".sst");
    const auto& path = tables[random() % tables.size()];
    Flip(path, random() % (std::filesystem::file_size(path) - 64));
    f.options.check_index = true;  // as after a failure
    int told = 0;
    f.options.before_loss = [&] {
      ++told;
      REQUIRE(!std::filesystem::exists(f.options.dir + "/index.damaged"));  // nothing is done yet
      return absl::OkStatus();
    };
    f.Open();
    REQUIRE(told >= 1);  // twice where it cannot be opened: that may be its log
    REQUIRE(f.store->lost_changes());
    f.options.before_loss = nullptr;
    REQUIRE(std::filesystem::exists(f.options.dir + "/index.damaged"));
    f.RequireNoHoles();
    f.options.check_index = false;
    f.RequireSound();
  }
}

TEST_CASE("an index that cannot be opened is repaired first", "[chunkserver][store][index]") {
  std::mt19937_64 random(TestSeed("rebuild unopenable"));
  Closed f(random);
  SECTION("manifest") { Flip(f.IndexFiles("MANIFEST", "").front(), 20); }
  SECTION("current") { std::ofstream(f.options.dir + "/index/CURRENT") << "MANIFEST-999999\n"; }
  SECTION("current, with garbage") { std::ofstream(f.options.dir + "/index/CURRENT") << "garbage"; }
  const absl::Status opened = f.TryOpen();
  INFO(opened);
  REQUIRE(opened.ok());
  REQUIRE(f.store->lost_changes());
  REQUIRE(f.Right() == f.contents.size());
  f.RequireSound();
}

TEST_CASE("a damaged log is noticed in the same boot, and is what a power cut leaves in another",
          "[chunkserver][store][index]") {
  std::mt19937_64 random(TestSeed("damaged log"));
  Closed f(random, 20);
  f.Open();
  for (uint32_t i = 100; i < 120; ++i) REQUIRE(f.Write(f.Key(i), 0, "in the log").ok());
  REQUIRE(f.store->Barrier().ok());
  f.Kill();
  const auto logs = f.IndexFiles("", ".log");
  Flip(logs.back(), std::filesystem::file_size(logs.back()) / 2);
  const bool new_boot = random() % 2 == 0;
  f.boot += new_boot ? 1 : 0;
  f.Open();
  REQUIRE(f.store->lost_changes() == !new_boot);
  REQUIRE(f.Right() == 20);
  REQUIRE(f.store->MayLack({1, 0}, f.Key(110).content) == !new_boot);
}

TEST_CASE("a log that was cut is remembered when the process dies before it could say so",
          "[chunkserver][store][index]") {
  std::mt19937_64 random(TestSeed("damaged log, twice"));
  Closed f(random, 20);
  f.Open();
  for (uint32_t i = 100; i < 120; ++i) REQUIRE(f.Write(f.Key(i), 0, "in the log").ok());
  REQUIRE(f.store->Barrier().ok());
  f.Kill();
  const auto logs = f.IndexFiles("", ".log");
  Flip(logs.back(), std::filesystem::file_size(logs.back()) / 2);
  bool told = false;
  f.options.before_loss = [&] {
    told = true;
    return absl::InternalError("the process dies");
  };
  REQUIRE(!f.TryOpen().ok());
  REQUIRE(told);
  f.options.before_loss = nullptr;
  {
    // It was cut before the next process looks.
    auto cut = ChunkIndex::Open(f.options.dir + "/index", 1 << 20, f.env.get());
    REQUIRE(cut.ok());
    REQUIRE((*cut)->log_cut());
  }
  f.Open();
  REQUIRE(f.store->lost_changes());
  REQUIRE(f.store->MayLack({1, 0}, f.Key(110).content));
}

TEST_CASE("a rebuild that a crash interrupted is finished or begun anew",
          "[chunkserver][store][index]") {
  std::mt19937_64 random(TestSeed("interrupted rebuild"));
  Closed f(random, 30);
  const std::string index = f.options.dir + "/index";
  bool finished = false;
  SECTION("before the names changed") { std::filesystem::create_directory(index + ".new"); }
  SECTION("between the two renames") {
    REQUIRE(RebuildIndex(f.options.dir, f.options.slab_bytes, &f.fs, f.env.get()).ok());
    std::filesystem::rename(index, index + ".new");
    finished = true;
  }
  f.Open();
  REQUIRE(f.store->lost_changes() == finished);
  REQUIRE(f.Right() == 30);
  f.RequireSound();
}

}  // namespace penstock::chunkserver

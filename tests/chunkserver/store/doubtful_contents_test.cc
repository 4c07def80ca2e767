#include "chunkserver/store/doubtful_contents.h"

#include <catch2/catch.hpp>

#include "tests/testing/fake_clock.h"
#include "tests/testing/faulty_file_system.h"

namespace penstock::chunkserver {
namespace {

const GroupId kGroup{1, 5}, kOther{1, 6}, kOtherClass{2, 5};

struct Fixture {
  Fixture() {
    REQUIRE(fs.MakeDirectory("/t").ok());
    REQUIRE(DoubtfulContents::Create("/t", &fs).ok());
    Load();
  }
  void Load() { contents = DoubtfulContents::Load("/t", &fs, &clock).value(); }
  bool Has(GroupId group, uint64_t content) { return contents->Has(group, ContentId(content)); }

  penstock::testing::FaultyFileSystem fs;
  penstock::testing::FakeClock clock;
  std::unique_ptr<DoubtfulContents> contents;
};

TEST_CASE("what was never recorded is not in doubt, what may have been is",
          "[chunkserver][store][doubt]") {
  Fixture f;
  REQUIRE(f.contents->Cover(ContentId(1000)).ok());
  REQUIRE(f.contents->Cover(ContentId(7)).ok());
  REQUIRE(!f.contents->any());
  REQUIRE(!f.Has(kGroup, 7));
  REQUIRE(f.contents->Doubt().ok());
  for (int round = 0; round < 2; ++round) {
    REQUIRE(f.contents->any());
    REQUIRE(f.Has(kGroup, 7));
    REQUIRE(f.Has(kOther, 1000));
    REQUIRE(!f.Has(kGroup, 1000 + DoubtfulContents::kLeastAhead));
    f.Load();
  }
  REQUIRE(f.contents->Cover(ContentId(5000)).ok());
  REQUIRE(!f.Has(kGroup, 5000));  // made after it
}

TEST_CASE("a group that followed another member has its doubts, and no others",
          "[chunkserver][store][doubt]") {
  Fixture f;
  REQUIRE(f.contents->Cover(ContentId(1000)).ok());
  REQUIRE(f.contents->Doubt().ok());
  REQUIRE(f.contents->Followed(kGroup, 0).ok());
  REQUIRE(f.contents->Followed(kOther, 50).ok());
  for (int round = 0; round < 2; ++round) {
    REQUIRE(!f.Has(kGroup, 7));
    REQUIRE(f.Has(kOther, 49));
    REQUIRE(!f.Has(kOther, 50));
    REQUIRE(f.Has(kOtherClass, 1000));
    f.Load();
  }
  REQUIRE(f.contents->Doubt().ok());  // another time
  REQUIRE(f.Has(kGroup, 7));
  REQUIRE(f.Has(kOther, 1000));
}

TEST_CASE("a log that was cut means doubt unless a power cut explains it, also after a crash",
          "[chunkserver][store][doubt]") {
  for (bool expected : {false, true}) {
    Fixture f;
    REQUIRE(f.contents->Cover(ContentId(9)).ok());
    REQUIRE(f.contents->NoteLogCut().ok());
    f.Load();
    REQUIRE(f.contents->log_cut());
    REQUIRE(f.contents->SettleLogCut(expected).ok());
    f.Load();
    REQUIRE(!f.contents->log_cut());
    REQUIRE(f.Has(kGroup, 9) == !expected);
  }
}

TEST_CASE("without its file a target may have had anything", "[chunkserver][store][doubt]") {
  Fixture f;
  REQUIRE(f.fs.Remove("/t/contents.json").ok());
  f.Load();
  REQUIRE(f.contents->Cover(ContentId(9)).ok());
  REQUIRE(!f.contents->any());
  REQUIRE(f.contents->Doubt().ok());
  REQUIRE(f.Has(kGroup, uint64_t{1} << 60));
}

TEST_CASE("a file of another format is refused", "[chunkserver][store][doubt]") {
  Fixture f;
  REQUIRE(WriteSmallFile(&f.fs, "/t/contents.json", "{\"format\": 2}").ok());
  REQUIRE(absl::IsFailedPrecondition(DoubtfulContents::Load("/t", &f.fs, &f.clock).status()));
}

TEST_CASE("the bound goes far ahead only while many contents are made",
          "[chunkserver][store][doubt]") {
  Fixture f;
  const auto below = [&] { return f.contents->state().below; };
  for (uint64_t id = 1; id < 100'000; ++id) REQUIRE(f.contents->Cover(ContentId(id)).ok());
  REQUIRE(below() > 110'000);
  REQUIRE(below() < 300'000);
  f.clock.Advance(absl::Minutes(1));
  REQUIRE(f.contents->Cover(ContentId(1'000'000)).ok());
  REQUIRE(below() == 1'000'000 + DoubtfulContents::kLeastAhead);
}

TEST_CASE("what cannot be saved is not in effect", "[chunkserver][store][doubt]") {
  Fixture f;
  f.fs.set_fail_syncs(true);
  REQUIRE(!f.contents->Cover(ContentId(9)).ok());
  f.fs.set_fail_syncs(false);
  REQUIRE(f.contents->state().below == 0);
  REQUIRE(f.contents->Cover(ContentId(9)).ok());
}

}  // namespace
}  // namespace penstock::chunkserver

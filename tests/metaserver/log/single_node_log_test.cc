#include "metaserver/log/single_node_log.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "common/status.h"
#include "metaserver/store/id_blocks.h"
#include "tests/testing/temp_dir.h"

namespace penstock::metaserver {
namespace {

struct LogFixture {
  explicit LogFixture(std::string path) : dir(std::move(path)) {
    auto opened = MetaStore::Open({.dir = dir});
    REQUIRE(opened.ok());
    store = *std::move(opened);
    auto opened_log = SingleNodeLog::Open(store.get());
    REQUIRE(opened_log.ok());
    log = *std::move(opened_log);
  }
  rocksdb::WriteBatch Batch(const std::string& key, const std::string& value) {
    rocksdb::WriteBatch batch;
    batch.Put(store->family(Family::kCluster), key, value);
    return batch;
  }
  std::string dir;
  std::unique_ptr<MetaStore> store;
  std::unique_ptr<SingleNodeLog> log;
};

// What the operating system has at this moment. Only RocksDB's own clearing up is held back.
void CopyAsKilled(LogFixture& from, const std::string& to) {
  REQUIRE(from.store->db()->PauseBackgroundWork().ok());
  REQUIRE(from.store->db()->DisableFileDeletions().ok());
  std::filesystem::copy(from.dir, to);
  REQUIRE(from.store->db()->EnableFileDeletions(/*force=*/true).ok());
  REQUIRE(from.store->db()->ContinueBackgroundWork().ok());
}

}  // namespace

TEST_CASE("indexes grow by one and survive a reopen", "[metaserver][log]") {
  penstock::testing::TempDir dir;
  {
    LogFixture f(dir.path());
    REQUIRE(*f.log->Commit(f.Batch("a", "1"), Durability::kProcess) == 1);
    REQUIRE(*f.log->Commit(f.Batch("b", "2"), Durability::kSynced) == 2);
    REQUIRE(f.log->last_synced_index() == 2);
  }
  LogFixture f(dir.path());
  REQUIRE(f.log->last_index() == 2);
  REQUIRE(*f.store->Get(Family::kCluster, "b") == "2");
  REQUIRE(*f.log->Commit(f.Batch("c", "3"), Durability::kProcess) == 3);
}

TEST_CASE("what was committed survives kill -9", "[metaserver][log]") {
  penstock::testing::TempDir dir;
  LogFixture f(dir.path() + "/db");
  for (int i = 0; i < 100; ++i) {
    REQUIRE(f.log->Commit(f.Batch(std::to_string(i), "v"), Durability::kProcess).ok());
  }
  CopyAsKilled(f, dir.path() + "/copy");
  LogFixture g(dir.path() + "/copy");
  REQUIRE(g.log->last_index() == 100);
  REQUIRE(g.store->Scan(Family::kCluster, "")->size() == 100);
}

TEST_CASE("many threads commit in groups, each once", "[metaserver][log]") {
  penstock::testing::TempDir dir;
  LogFixture f(dir.path());
  std::vector<std::thread> threads;
  std::atomic<uint64_t> sum{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        auto index = f.log->Commit(f.Batch(std::to_string(t) + "/" + std::to_string(i), "v"),
                                   i % 50 == 0 ? Durability::kSynced : Durability::kProcess);
        if (index.ok()) sum += *index;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(f.log->last_index() == 1600);
  REQUIRE(sum == 1600 * 1601 / 2);
  REQUIRE(f.store->Scan(Family::kCluster, "")->size() == 1600);
}

TEST_CASE("the background sync comes by itself", "[metaserver][log]") {
  penstock::testing::TempDir dir;
  LogFixture f(dir.path());
  const uint64_t index = *f.log->Commit(f.Batch("a", "1"), Durability::kProcess);
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (f.log->last_synced_index() < index && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  REQUIRE(f.log->last_synced_index() >= index);
}

TEST_CASE("after a failure everything is refused", "[metaserver][log]") {
  penstock::testing::TempDir dir;
  LogFixture f(dir.path());
  f.log->FailForTest(PosixError(ENOSPC, "no space"));
  auto refused = f.log->Commit(f.Batch("a", "1"), Durability::kProcess);
  REQUIRE(ErrnoOf(refused.status()) == ENOSPC);
  REQUIRE(ErrnoOf(f.log->Sync()) == ENOSPC);
  REQUIRE(absl::IsNotFound(f.store->Get(Family::kCluster, "a").status()));
}

TEST_CASE("after a full disk the log goes on, with all that was committed", "[metaserver][log]") {
  penstock::testing::TempDir dir;
  LogFixture f(dir.path() + "/db");
  REQUIRE(f.log->Commit(f.Batch("a", "1"), Durability::kProcess).ok());
  REQUIRE(f.log->RecoverFromFullDisk().ok());  // nothing to do
  f.log->FailForTest(PosixError(ENOSPC, "no space"));
  REQUIRE(ErrnoOf(f.log->Commit(f.Batch("b", "2"), Durability::kProcess).status()) == ENOSPC);
  REQUIRE(f.log->RecoverFromFullDisk().ok());
  REQUIRE(f.log->last_synced_index() == 1);
  REQUIRE(*f.log->Commit(f.Batch("c", "3"), Durability::kSynced) == 2);
  CopyAsKilled(f, dir.path() + "/copy");
  LogFixture g(dir.path() + "/copy");
  REQUIRE(g.log->last_index() == 2);
  REQUIRE(g.store->Get(Family::kCluster, "a").ok());
  REQUIRE(absl::IsNotFound(g.store->Get(Family::kCluster, "b").status()));
}

TEST_CASE("another failure than a full disk is for good", "[metaserver][log]") {
  penstock::testing::TempDir dir;
  LogFixture f(dir.path());
  f.log->FailForTest(PosixError(EIO, "broken"));
  REQUIRE(f.log->RecoverFromFullDisk().ok());
  REQUIRE(ErrnoOf(f.log->Commit(f.Batch("b", "2"), Durability::kProcess).status()) == EIO);
}

TEST_CASE("ids are never given twice, also after kill -9", "[metaserver][ids]") {
  penstock::testing::TempDir dir;
  IdBlocks::Options options;
  options.key = "ids";
  options.block = 10;
  uint64_t last = 0;
  LogFixture f(dir.path() + "/db");
  {
    IdBlocks ids(options, f.store.get(), f.log.get());
    for (int i = 0; i < 35; ++i) {
      auto id = ids.Next();
      REQUIRE(id.ok());
      REQUIRE(*id > last);
      last = *id;
    }
  }
  CopyAsKilled(f, dir.path() + "/copy");
  LogFixture g(dir.path() + "/copy");
  options.limit = last + 30;
  IdBlocks ids(options, g.store.get(), g.log.get());
  REQUIRE(*ids.Next() > last);
  absl::Status status;
  while (status.ok()) status = ids.Next().status();
  REQUIRE(ErrnoOf(status) == ENOSPC);
}

TEST_CASE("threads share id blocks", "[metaserver][ids]") {
  penstock::testing::TempDir dir;
  LogFixture f(dir.path());
  IdBlocks::Options options;
  options.key = "ids";
  options.block = 16;
  IdBlocks ids(options, f.store.get(), f.log.get());
  absl::Mutex mu;
  std::vector<uint64_t> all;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        auto id = ids.Next();
        absl::MutexLock lock(&mu);
        if (id.ok()) all.push_back(*id);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::sort(all.begin(), all.end());
  REQUIRE(all.size() == 400);
  REQUIRE(std::unique(all.begin(), all.end()) == all.end());
}

}  // namespace penstock::metaserver

// A target on a disk that can fail, for the tests of the chunk store.
#pragma once

#include <spdlog/spdlog.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <string>

#include "chunkserver/store/slab_chunk_store.h"
#include "common/checksum.h"
#include "common/status.h"
#include "tests/chunkserver/store/crashing_index_env.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/faulty_file_system.h"
#include "tests/testing/temp_dir.h"

namespace penstock::chunkserver {

// PENSTOCK_TEST_SEED, else a random one; printed, so that a failure can be repeated.
inline uint64_t TestSeed(const char* test) {
  const char* given = std::getenv("PENSTOCK_TEST_SEED");
  const uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << test << ": PENSTOCK_TEST_SEED=" << seed << std::endl;
  return seed;
}

// PENSTOCK_TEST_ROUNDS, else `usual`.
inline int TestRounds(int usual) {
  const char* given = std::getenv("PENSTOCK_TEST_ROUNDS");
  return given ? std::atoi(given) : usual;
}

inline std::string RandomBytes(std::mt19937_64& random, size_t length) {
  std::string bytes(length, '\0');
  for (char& c : bytes) c = static_cast<char>(random() | 1);  // never zero, to tell from a hole
  return bytes;
}

struct StoreFixture {
  StoreFixture() {
    spdlog::set_level(spdlog::level::off);  // failures are on purpose here
    options.dir = dir.path();
    options.cluster_id = "cluster-1";
    options.slab_bytes = 1 * kMiB;
    options.max_chunk_bytes = 256 * kKiB;
    options.reserve_bytes = 0;
    options.barrier_every = absl::InfiniteDuration();
    options.index_cache_bytes = 1 * kMiB;
    REQUIRE(
        SlabChunkStore::Format(options.dir, {"cluster-1", "uuid-1", TargetId(7)}, seams()).ok());
    Open();
  }
  ~StoreFixture() { store.reset(); }

  StoreSeams seams() { return {&fs, &clock, env.get()}; }
  absl::Status TryOpen() {
    auto opened = SlabChunkStore::Open(options, "boot-" + std::to_string(boot), seams());
    if (opened.ok()) store = std::move(opened).value();
    return opened.status();
  }
  void Open() {
    absl::Status opened = TryOpen();
    INFO(opened);
    REQUIRE(opened.ok());
  }
  void Reopen() {
    store.reset();
    Open();
  }
  // As kill -9: what was handed to the operating system stays.
  void Kill() {
    crash.Crash();
    store.reset();
    crash.Repair();
  }
  // What was not synced is gone, or partly there: a random part, or as much as is said.
  struct Arrives {
    std::optional<int> slabs_percent;
    std::optional<int> index_percent;
  };
  void PowerCut(std::mt19937_64& random) { PowerCut(random, Arrives()); }
  void PowerCut(std::mt19937_64& random, Arrives arrives) {
    crash.Crash();
    store.reset();
    crash.Repair();
    fs.PowerCut(random, arrives.slabs_percent);
    index_fs->PowerCut(random, arrives.index_percent);
    ++boot;
  }

  static ChunkKey Key(uint32_t number) {
    return {number * 2654435761u, ContentId(number + 1), number};
  }
  static ChunkChange Change(ChangeKind kind, uint32_t offset, std::string_view data,
                            uint32_t length = 0) {
    ChunkChange change;
    change.kind = kind;
    change.offset = offset;
    change.length = length;
    change.data = absl::MakeConstSpan(data.data(), data.size());
    change.crc32c = Crc32c(data);
    return change;
  }
  ChunkVersion NextVersion() { return {1, store->NextSequence().value()}; }
  absl::Status StageAndCommit(const ChunkKey& key, const ChunkChange& change) {
    const ChunkVersion version = NextVersion();
    RETURN_IF_ERROR(store->Stage(key, version, change));
    return store->Commit(key, version);
  }
  absl::Status Write(const ChunkKey& key, uint32_t offset, std::string_view data) {
    return StageAndCommit(key, Change(ChangeKind::kWrite, offset, data));
  }
  // The whole committed content; checks the lengths and the checksum of the reply.
  absl::StatusOr<std::string> ReadAll(const ChunkKey& key) {
    return ReadRange(key, 0, options.max_chunk_bytes);
  }
  absl::StatusOr<std::string> ReadRange(const ChunkKey& key, uint32_t offset, uint32_t length) {
    std::string bytes(length, '?');
    ASSIGN_OR_RETURN(ReadResult read,
                     store->Read(key, offset, absl::MakeSpan(bytes.data(), bytes.size())));
    bytes.resize(read.length);
    if (Crc32c(bytes) != read.crc32c) return absl::InternalError("reply's checksum is wrong");
    return bytes;
  }

  penstock::testing::TempDir dir;
  penstock::testing::CrashSwitch crash;
  penstock::testing::FaultyFileSystem fs{&crash};
  penstock::testing::FakeClock clock;
  std::shared_ptr<penstock::testing::CrashingIndexFileSystem> index_fs =
      std::make_shared<penstock::testing::CrashingIndexFileSystem>(&crash);
  std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(index_fs);
  ChunkStoreOptions options;
  int boot = 1;
  std::unique_ptr<SlabChunkStore> store;
};

}  // namespace penstock::chunkserver

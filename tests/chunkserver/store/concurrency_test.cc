// Many threads on one store while barriers, deferred overwrites and slot reuse go on.
#include <absl/synchronization/notification.h>

#include <catch2/catch.hpp>
#include <thread>

#include "tests/chunkserver/store/chunk_model.h"
#include "tests/chunkserver/store/store_audit.h"
#include "tests/chunkserver/store/store_fixture.h"

namespace penstock::chunkserver {
namespace {

constexpr uint32_t kMark = 8;  // each content says, every 8 bytes, which version it is

std::string Marked(uint64_t mark, size_t length) {
  std::string bytes(length, '\0');
  for (size_t i = 0; i + kMark <= length; i += kMark) std::memcpy(&bytes[i], &mark, kMark);
  return bytes;
}

}  // namespace

TEST_CASE("readers see whole versions while writers replace chunks and slots are reused",
          "[chunkserver][store][threads]") {
  StoreFixture f;
  f.store.reset();
  f.options.barrier_every = absl::Milliseconds(2);
  f.Open();
  constexpr uint32_t kChunks = 4;
  std::atomic<bool> failed{false};
  std::atomic<int> writers_left{3};
  std::vector<std::thread> threads;
  std::vector<std::string> errors(8);
  for (uint32_t w = 0; w < 3; ++w) {
    threads.emplace_back([&, w] {
      std::mt19937_64 random(w);
      for (int i = 0; i < 300 && !failed; ++i) {
        const ChunkKey key = f.Key(random() % kChunks);
        const ChunkVersion version = f.NextVersion();
        const std::string data = Marked(version.sequence, 8 * (1 + random() % 12000));
        const absl::Status staged =
            f.store->Stage(key, version, f.Change(ChangeKind::kReplace, 0, data));
        // Another writer's version is pending or newer: its turn.
        if (absl::IsFailedPrecondition(staged)) continue;
        absl::Status done = staged.ok() ? f.store->Commit(key, version) : staged;
        if (done.ok() && i % 50 == 0) done = f.store->Barrier();
        if (!done.ok()) {
          errors[w] = done.ToString();
          failed = true;
        }
      }
      --writers_left;
    });
  }
  for (uint32_t r = 3; r < 6; ++r) {
    threads.emplace_back([&, r] {
      std::mt19937_64 random(r);
      while (writers_left > 0 && !failed) {
        absl::StatusOr<std::string> bytes = f.ReadAll(f.Key(random() % kChunks));
        if (absl::IsNotFound(bytes.status())) continue;
        if (!bytes.ok()) {
          errors[r] = bytes.status().ToString();
          failed = true;
        } else if (!bytes->empty()) {
          uint64_t mark = 0;
          std::memcpy(&mark, bytes->data(), kMark);
          if (*bytes != Marked(mark, bytes->size())) {
            errors[r] = "a mix of versions";
            failed = true;
          }
        }
      }
    });
  }
  for (std::thread& t : threads) t.join();
  for (const std::string& error : errors) REQUIRE(error == "");
  REQUIRE(f.store->checksum_errors() == 0);
  // Not the only thing that must hold: every slot has one owner.
  f.store.reset();
  AuditClosedTarget(f);
}

TEST_CASE("threads with chunks of their own agree with their models under constant barriers",
          "[chunkserver][store][threads]") {
  const uint64_t seed = TestSeed("store threads");
  StoreFixture f;
  f.store.reset();
  f.options.barrier_every = absl::Milliseconds(1);
  f.Open();
  std::vector<std::thread> threads;
  std::vector<std::string> errors(4);
  for (uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(seed + t);
      const ChunkKey key = f.Key(t);
      ModelChunk model;
      for (int i = 0; i < 200 && errors[t].empty(); ++i) {
        const ModelChange change = RandomChange(random, model, f.options.max_chunk_bytes);
        const ChunkVersion version = f.NextVersion();
        absl::Status done = f.store->Stage(
            key, version, f.Change(change.kind, change.offset, change.data, change.length));
        if (done.ok()) done = f.store->Commit(key, version);
        if (!done.ok()) {
          errors[t] = done.ToString();
          break;
        }
        model.content = Applied(model, change);
        if (change.kind == ChangeKind::kDelete) continue;
        absl::StatusOr<std::string> found = f.ReadAll(key);
        if (!found.ok()) {
          errors[t] = found.status().ToString();
        } else if (*found != model.content) {
          errors[t] = "differs from the model";
        }
      }
    });
  }
  for (std::thread& t : threads) t.join();
  for (const std::string& error : errors) REQUIRE(error == "");
  f.store.reset();
  AuditClosedTarget(f);
}

}  // namespace penstock::chunkserver

#include <catch2/catch.hpp>

#include "tests/chunkserver/store/chunk_model.h"
#include "tests/chunkserver/store/store_audit.h"
#include "tests/chunkserver/store/store_fixture.h"

namespace penstock::chunkserver {
namespace {

constexpr uint32_t kChunks = 5;

void RequireSame(StoreFixture& f, const ChunkKey& key, const ModelChunk& model) {
  const ChunkInfo info = f.store->Stat(key).value();
  REQUIRE(info.committed == model.version);
  REQUIRE(info.pending.has_value() == model.pending.has_value());
  if (model.exists()) {
    absl::StatusOr<std::string> content = f.ReadAll(key);
    INFO(content.status());
    REQUIRE(content.ok());
    REQUIRE(content->size() == model.content.size());
    REQUIRE((*content == model.content));
    REQUIRE(f.store->Verify(key).ok());
  } else {
    REQUIRE(absl::IsNotFound(f.ReadAll(key).status()));
  }
  if (model.pending) {
    REQUIRE(info.pending == model.pending->version);
    REQUIRE(info.pending_deletes == model.pending->deletes);
    if (!model.pending->deletes) {
      REQUIRE((f.store->ReadPending(key).value() == model.pending->content));
    }
  }
}

void RandomRead(StoreFixture& f, const ChunkKey& key, const ModelChunk& model,
                std::mt19937_64& random) {
  const uint32_t offset = random() % (model.content.size() + 5000);
  const uint32_t length = random() % 200000;
  absl::StatusOr<std::string> content = f.ReadRange(key, offset, length);
  REQUIRE(content.ok());
  REQUIRE(
      (*content == (offset < model.content.size() ? model.content.substr(offset, length) : "")));
}

}  // namespace

TEST_CASE("the store agrees with a model through random changes, barriers and restarts",
          "[chunkserver][store][random]") {
  const uint64_t first_seed = TestSeed("store model");
  for (int round = 0; round < TestRounds(6); ++round) {
    std::mt19937_64 random(first_seed + round);
    CAPTURE(first_seed, round);
    StoreFixture f;
    std::vector<ModelChunk> models(kChunks);
    for (int step = 0; step < 250; ++step) {
      CAPTURE(step);
      const uint32_t number = random() % kChunks;
      const ChunkKey key = StoreFixture::Key(number);
      ModelChunk& model = models[number];
      const uint64_t dice = random() % 100;
      if (dice < 5) {
        REQUIRE(f.store->Barrier().ok());
      } else if (dice < 7) {
        f.Reopen();
      } else if (dice < 9) {
        f.Kill();
        f.Open();
      } else if (dice < 20 && model.exists()) {
        RandomRead(f, key, model, random);
      } else if (!model.pending) {
        const ModelChange change = RandomChange(random, model, f.options.max_chunk_bytes);
        const ChunkVersion version = f.NextVersion();
        absl::Status staged = f.store->Stage(
            key, version,
            StoreFixture::Change(change.kind, change.offset, change.data, change.length));
        INFO(staged);
        REQUIRE(staged.ok());
        model.pending = {version, change.kind == ChangeKind::kDelete, Applied(model, change)};
      } else if (dice < 85) {
        REQUIRE(f.store->Commit(key, model.pending->version).ok());
        model = model.pending->deletes ? ModelChunk()
                                       : ModelChunk{model.pending->version, model.pending->content};
      } else {
        REQUIRE(f.store->Discard(key, model.pending->version).ok());
        model.pending.reset();
      }
      RequireSame(f, key, model);
    }
    for (uint32_t i = 0; i < kChunks; ++i) RequireSame(f, StoreFixture::Key(i), models[i]);
    REQUIRE(f.store->checksum_errors() == 0);
    f.store.reset();
    AuditClosedTarget(f);
  }
}

}  // namespace penstock::chunkserver

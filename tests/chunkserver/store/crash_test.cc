// Crashes at random points and checks DESIGN.md section 6: after kill -9 nothing is lost; after a
// power cut every chunk has a content that it had since its last barrier, whole and readable.
#include <catch2/catch.hpp>

#include "tests/chunkserver/store/chunk_model.h"
#include "tests/chunkserver/store/store_audit.h"
#include "tests/chunkserver/store/store_fixture.h"

namespace penstock::chunkserver {
namespace {

constexpr uint32_t kChunks = 4;

// What a chunk may be found as: every state since the last barrier that succeeded, in order; the
// last may be that of a call that the crash cut short.
struct History {
  std::vector<ModelChunk> states{1};
  size_t acknowledged = 0;  // states[acknowledged] is the newest that was acknowledged
  const ModelChunk& now() const { return states[acknowledged]; }
};

struct CrashRun {
  CrashRun(uint64_t seed) : random(seed) {}

  // One step; false once the machine is dead.
  bool Step() {
    const uint32_t number = random() % kChunks;
    const ChunkKey key = StoreFixture::Key(number);
    History& history = histories[number];
    const uint64_t dice = random() % 100;
    if (dice < 8) {
      std::vector<size_t> before;
      for (const History& h : histories) before.push_back(h.acknowledged);
      if (!f.store->Barrier().ok()) return false;
      for (uint32_t i = 0; i < kChunks; ++i) {
        auto& states = histories[i].states;
        states.erase(states.begin(), states.begin() + static_cast<int64_t>(before[i]));
        histories[i].acknowledged = 0;
      }
      return true;
    }
    if (dice < 12) {
      absl::StatusOr<uint64_t> sequence = f.store->NextSequence();
      if (!sequence.ok()) return false;
      REQUIRE(*sequence > highest_sequence);
      highest_sequence = *sequence;
      return true;
    }
    ModelChunk next = history.now();
    absl::Status done;
    if (!next.pending) {
      const ModelChange change = RandomChange(random, next, f.options.max_chunk_bytes);
      absl::StatusOr<uint64_t> sequence = f.store->NextSequence();
      if (!sequence.ok()) return false;
      highest_sequence = *sequence;
      const ChunkVersion version{1, *sequence};
      next.pending = {version, change.kind == ChangeKind::kDelete, Applied(next, change)};
      history.states.push_back(next);
      done = f.store->Stage(
          key, version,
          StoreFixture::Change(change.kind, change.offset, change.data, change.length));
    } else if (random() % 8 != 0) {
      const ChunkVersion version = next.pending->version;
      next = next.pending->deletes ? ModelChunk() : ModelChunk{version, next.pending->content};
      history.states.push_back(next);
      done = f.store->Commit(key, version);
    } else {
      const ChunkVersion version = next.pending->version;
      next.pending.reset();
      history.states.push_back(next);
      done = f.store->Discard(key, version);
    }
    if (!done.ok()) {
      INFO(done);
      REQUIRE(f.crash.crashed());
      return false;
    }
    ++history.acknowledged;
    return true;
  }

  ModelChunk Found(const ChunkKey& key) {
    ModelChunk found;
    const ChunkInfo info = f.store->Stat(key).value();
    REQUIRE(!info.quarantined);
    found.version = info.committed;
    if (info.exists()) {
      absl::StatusOr<std::string> content = f.ReadAll(key);
      INFO(content.status());
      REQUIRE(content.ok());
      found.content = *content;
    }
    if (info.pending) {
      found.pending = {*info.pending, info.pending_deletes};
      if (!info.pending_deletes) {
        absl::StatusOr<std::string> content = f.store->ReadPending(key);
        INFO(content.status());
        REQUIRE(content.ok());
        found.pending->content = *content;
      }
    }
    return found;
  }

  void CheckAfterCrash(bool power_cut) {
    for (uint32_t i = 0; i < kChunks; ++i) {
      CAPTURE(i);
      History& history = histories[i];
      const ModelChunk found = Found(StoreFixture::Key(i));
      std::optional<size_t> as;
      // A process that dies loses nothing that was acknowledged.
      for (size_t s = power_cut ? 0 : history.acknowledged; s < history.states.size(); ++s) {
        ModelChunk without_pending = history.states[s];
        without_pending.pending.reset();
        if (found == history.states[s] || (power_cut && found == without_pending)) as = s;
      }
      REQUIRE(as.has_value());
      if (power_cut) {
        history.states = {found};  // the start under a new boot made it durable
        history.acknowledged = 0;
      } else {
        history.states.resize(*as + 1);
        history.acknowledged = *as;
      }
    }
    REQUIRE(f.store->checksum_errors() == 0);
    const uint64_t sequence = f.store->NextSequence().value();
    REQUIRE(sequence > highest_sequence);
    highest_sequence = sequence;
  }

  StoreFixture f;
  std::mt19937_64 random;
  std::vector<History> histories{kChunks};
  uint64_t highest_sequence = 0;
};

void RunCrashes(const char* name, int rounds, bool power_cuts, bool kills) {
  const uint64_t first_seed = TestSeed(name);
  constexpr int kCrashesPerTarget = 10;
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(first_seed, round);
    CrashRun run(first_seed + round);
    for (int crash = 0; crash < kCrashesPerTarget; ++crash) {
      CAPTURE(crash);
      run.f.crash.ArmAfter(run.random() % 300);
      for (int step = 0; step < 400 && !run.f.crash.crashed() && run.Step(); ++step) {
      }
      const bool power_cut = power_cuts && (!kills || run.random() % 2 == 0);
      // A crash may come again while the target recovers.
      for (int again = 0;; ++again) {
        if (power_cut) {
          run.f.PowerCut(run.random);
        } else {
          run.f.Kill();
        }
        if (again < 2 && run.random() % 3 == 0) run.f.crash.ArmAfter(run.random() % 40);
        absl::Status opened = run.f.TryOpen();
        if (opened.ok()) break;
        INFO(opened);
        REQUIRE(run.f.crash.crashed());
      }
      if (run.f.crash.crashed()) {
        if (power_cut) {
          run.f.PowerCut(run.random);
        } else {
          run.f.Kill();
        }
        run.f.Open();
      }
      run.f.crash.Repair();
      run.CheckAfterCrash(power_cut);
    }
    run.f.store.reset();
    AuditClosedTarget(run.f);
  }
}

}  // namespace

TEST_CASE("after kill -9 nothing that was acknowledged is lost", "[chunkserver][store][crash]") {
  RunCrashes("kill -9", TestRounds(15), false, true);
}

TEST_CASE("after a power cut a chunk has a whole content, and synced content is the new one",
          "[chunkserver][store][crash]") {
  RunCrashes("power cut", TestRounds(30), true, false);
}

TEST_CASE("kills and power cuts may follow each other", "[chunkserver][store][crash]") {
  RunCrashes("kills and power cuts", TestRounds(15), true, true);
}

}  // namespace penstock::chunkserver

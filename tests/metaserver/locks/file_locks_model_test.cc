// Random requests of a few owners against a model that keeps a set of holders for each byte.
#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <map>
#include <random>
#include <set>

#include "tests/metaserver/locks/locks_fixture.h"

namespace penstock::metaserver {
namespace {

constexpr uint64_t kBytes = 16;
constexpr int kOwners = 5;

// Who has what, byte by byte; and who waits, in order.
struct Model {
  struct Waiting {
    int owner;
    What what;
    uint64_t ticket;
  };
  std::array<std::array<wire::LockType, kOwners>, kBytes> bytes{};
  std::vector<Waiting> waiting;

  std::set<int> Blockers(int owner, const What& what) const {
    std::set<int> blockers;
    for (uint64_t at = what.start; at <= what.end; ++at) {
      for (int other = 0; other < kOwners; ++other) {
        const wire::LockType held = bytes[at][static_cast<size_t>(other)];
        if (other == owner || held == wire::LOCK_TYPE_NONE || what.type == wire::LOCK_TYPE_NONE)
          continue;
        if (held == wire::LOCK_TYPE_WRITE || what.type == wire::LOCK_TYPE_WRITE)
          blockers.insert(other);
      }
    }
    return blockers;
  }
  void Apply(int owner, const What& what) {
    for (uint64_t at = what.start; at <= what.end; ++at) {
      bytes[at][static_cast<size_t>(owner)] = what.type;
    }
  }
  bool Reaches(int from, int to, std::set<int>& seen) const {
    if (from == to) return true;
    if (!seen.insert(from).second) return false;
    for (const Waiting& wait : waiting) {
      if (wait.owner != from) continue;
      for (int next : Blockers(from, wait.what)) {
        if (Reaches(next, to, seen)) return true;
      }
    }
    return false;
  }
  bool Deadlocks(int owner, const What& what) const {
    for (int next : Blockers(owner, what)) {
      std::set<int> seen;
      if (Reaches(next, owner, seen)) return true;
    }
    return false;
  }
  std::vector<uint64_t> Serve() {
    std::vector<uint64_t> served;
    for (bool again = true; again;) {
      again = false;
      for (size_t i = 0; i < waiting.size();) {
        if (!Blockers(waiting[i].owner, waiting[i].what).empty()) {
          ++i;
          continue;
        }
        Apply(waiting[i].owner, waiting[i].what);
        served.push_back(waiting[i].ticket);
        waiting.erase(waiting.begin() + static_cast<ptrdiff_t>(i));
        again = true;
      }
    }
    return served;
  }
};

// One owner a process; two sessions.
Who OwnerOf(int owner) {
  return {.session = static_cast<uint64_t>(owner % 2 + 1), .owner = 10u + owner};
}

struct Run {
  explicit Run(uint32_t seed) : random(seed) {}

  void CheckServed() {
    std::vector<uint64_t> told;
    for (const auto& got : f.answers.Take()) {
      REQUIRE(got.err == 0);
      told.push_back(got.ticket);
    }
    REQUIRE(told == model.Serve());
  }
  void SetOrWait(int owner) {
    What what{.type = static_cast<wire::LockType>(random() % 3),
              .start = random() % kBytes,
              .end = random() % kBytes};
    if (what.start > what.end) std::swap(what.start, what.end);
    const bool wait = random() % 2 == 0;
    const uint64_t ticket = ++tickets;
    const bool blocked = !model.Blockers(owner, what).empty();
    int expected = 0;
    if (blocked && !wait) expected = EAGAIN;
    if (blocked && wait) {
      expected = model.Deadlocks(owner, what) ? EDEADLK : LocksFixture::kQueued;
    }
    REQUIRE(f.Send(f.Request(OwnerOf(owner), what, wait ? ticket : 0)) == expected);
    if (expected == 0) model.Apply(owner, what);
    if (expected == LocksFixture::kQueued) model.waiting.push_back({owner, what, ticket});
  }
  void Cancel() {
    if (model.waiting.empty()) return;
    const size_t i = random() % model.waiting.size();
    const auto& wait = model.waiting[i];
    REQUIRE_FALSE(f.Cancel(OwnerOf(wait.owner).session, wait.ticket)->granted());
    model.waiting.erase(model.waiting.begin() + static_cast<ptrdiff_t>(i));
  }
  void Close(int owner) {
    f.ReleaseOwner(OwnerOf(owner));
    model.Apply(owner, {.type = wire::LOCK_TYPE_NONE, .start = 0, .end = kBytes - 1});
  }
  void EndSession(uint64_t session) {
    f.table.DropSession(SessionId(session));
    for (int owner = 0; owner < kOwners; ++owner) {
      if (OwnerOf(owner).session != session) continue;
      model.Apply(owner, {.type = wire::LOCK_TYPE_NONE, .start = 0, .end = kBytes - 1});
      std::erase_if(model.waiting, [&](const auto& wait) { return wait.owner == owner; });
    }
    REQUIRE(f.table.CountsOf(SessionId(session)).locks == 0);
  }
  void CheckBytes() {
    const uint64_t at = random() % kBytes;
    for (int owner = 0; owner < kOwners; ++owner) {
      for (wire::LockType type : {wire::LOCK_TYPE_READ, wire::LOCK_TYPE_WRITE}) {
        const What what{.type = type, .start = at, .end = at};
        REQUIRE(f.Get(OwnerOf(owner), what)->conflict() == !model.Blockers(owner, what).empty());
      }
    }
  }

  std::mt19937 random;
  LocksFixture f;
  Model model;
  uint64_t tickets = 0;
};

}  // namespace

TEST_CASE("random locks agree with a model of single bytes", "[metaserver][locks]") {
  const uint32_t seed = GENERATE(1u, 2u, 3u, 4u, 5u);
  INFO("seed " << seed);
  Run run(seed);
  for (int step = 0; step < 3000; ++step) {
    INFO("step " << step);
    const int owner = static_cast<int>(run.random() % kOwners);
    switch (run.random() % 20) {
      case 0:
        run.Close(owner);
        break;
      case 1:
        run.Cancel();
        break;
      case 2:
        if (run.random() % 10 == 0) run.EndSession(run.random() % 2 + 1);
        break;
      default:
        run.SetOrWait(owner);
    }
    run.CheckServed();
    run.CheckBytes();
  }
}

}  // namespace penstock::metaserver

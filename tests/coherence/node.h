#pragma once

#include <cstdint>
#include <string>

#include "tests/coherence/calls.h"
#include "tests/coherence/options.h"
#include "tests/coherence/random.h"
#include "tests/coherence/shared.h"

namespace penstock::coherence {

// One node's process: who it is, its calls, its random numbers, and what it shares with the
// others. A node that fails, or whose run was stopped, leaves its process from within a call.
class Node {
 public:
  Node(const Options& options, Shared* shared, int id, const std::string& directory)
      : calls(directory, &shared->nodes[id], Lies(options.lies, options.seed + id)),
        options_(options),
        shared_(shared),
        id_(id) {}

  int id() const { return id_; }
  int count() const { return static_cast<int>(options_.nodes.size()); }
  uint64_t round() const { return round_; }
  // The number of this round as a value to write: never 0.
  int64_t value() const { return static_cast<int64_t>(round_) + 1; }
  const Options& options() const { return options_; }

  void BeginRound(uint64_t round);
  Random& plan() { return plan_; }  // the same numbers on every node of a round
  Random& own() { return own_; }    // different ones

  // Waits for all nodes.
  void Barrier();
  // Waits a little or not at all, so that nodes meet in every order.
  void Stagger();
  // Lets others run; leaves when the run is over. For loops that wait for another node.
  void Yield();

  // A violation, in words: ends the run. `subject` is the file that it is about, if only one is.
  [[noreturn]] void Fail(const char* format, ...) __attribute__((format(printf, 2, 3)));
  [[noreturn]] void FailAbout(const std::string& subject, const std::string& text);
  // The result of a call that must succeed.
  int64_t Must(int64_t result);
  // The test can't run on this file system. On every node, the same.
  [[noreturn]] void Skip(const char* why);

  // What this node says to all, and what `node` said. Read after a barrier.
  void Tell(int cell, int64_t value) { shared_->nodes[id_].cells[cell].store(value); }
  int64_t Told(int node, int cell) const { return shared_->nodes[node].cells[cell].load(); }

  Register& Value(int number) { return shared_->registers[number]; }
  History& HistoryOf(int node) { return shared_->nodes[node].history; }
  void CountLook() { shared_->nodes[id_].looks.fetch_add(1, std::memory_order_relaxed); }
  // True if the error may happen in this run; counted then.
  bool Allowed(int64_t result);
  bool stopped() const { return shared_->stop.load(std::memory_order_relaxed); }

  Calls calls;

 private:
  [[noreturn]] void Leave();

  const Options& options_;
  Shared* const shared_;
  const int id_;
  uint64_t round_ = 0;
  Random plan_, own_;
};

}  // namespace penstock::coherence

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "tests/coherence/history.h"

namespace penstock::coherence {

constexpr int kMaxNodes = 4;
constexpr int kMaxRegisters = 32;
constexpr size_t kRing = 512;
constexpr size_t kTextBytes = 136;

// One call of one node, as it goes into the story of a violation.
struct Entry {
  int64_t begin_ns;
  int64_t end_ns;  // 0: still under way
  uint64_t round;
  int64_t result;  // -errno when it failed
  char text[kTextBytes];
};

// What one node's process tells the others and the parent.
struct NodeArea {
  std::atomic<uint64_t> calls;   // entries begun; the last is ring[(calls - 1) % kRing]
  std::atomic<uint64_t> estale;  // path walks that met ESTALE and were repeated
  std::atomic<uint64_t> errors;  // calls that failed with an error of --allow-errors
  std::atomic<uint64_t> looks;   // observations that were checked
  std::atomic<int64_t> longest_ns;
  char longest_text[kTextBytes];
  Entry ring[kRing];
  std::atomic<int64_t> cells[32];  // answers of one round, for the checks at its end
  History history;
};

// A value with one writer: how far it has come. Every number up to `done` is certain, those after
// it up to `started` are possible; what somebody has seen is never taken back.
struct Register {
  std::atomic<int64_t> started;
  std::atomic<int64_t> done;
  std::atomic<int64_t> seen;
};

// The memory that parent and nodes share (anonymous, so it begins as zeros).
struct Shared {
  std::atomic<uint32_t> arrived;
  std::atomic<uint32_t> generation;  // of the barrier; also the futex
  std::atomic<uint32_t> more[2];     // is there another round? by the parity of this one
  std::atomic<bool> stop;
  std::atomic<uint64_t> rounds;
  std::atomic<int> failed_node;  // node + 1 of the first violation
  std::atomic<bool> failure_told;
  uint64_t failed_round;
  char subject[32];  // what the violation is about, a file's name; '' for all of the round
  char failure[4000];
  char skipped[200];  // why the test can't run here
  Register registers[kMaxRegisters];
  NodeArea nodes[kMaxNodes];
};

}  // namespace penstock::coherence

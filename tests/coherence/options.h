#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace penstock::coherence {

struct Options {
  std::string test;
  std::vector<std::string> nodes;  // a directory each: the same one, as each node sees it
  uint64_t seed = 0;
  uint64_t first_round = 0;
  uint64_t rounds = 1000;
  int seconds = 600;              // ends earlier than `rounds` when these are over
  int call_limit_s = 60;          // a call that takes longer is a violation
  int report_every_s = 0;         // prints how far each node is; 0: never
  int64_t chunk_bytes = 4 << 20;  // of the file system under test
  bool sync = false;              // `open`: a change counts when it is synced, not when it is made
  int lies = 0;                   // one in so many answers is a lie; 0: none
  bool keep = false;              // leave the test's directory
  std::set<int> allowed_errors;   // errnos that a fault may bring; `open` only
};

// From the command line; prints what is wrong with it and exits with 2.
Options ParseOptions(int argc, char** argv);

}  // namespace penstock::coherence

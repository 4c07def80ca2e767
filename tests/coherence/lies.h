#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/coherence/random.h"

namespace penstock::coherence {

// A file system that is wrong, for the tests of the tests (--lies N): one in N looks gets the
// answer of the look before, as from a cache that nobody told; exclusive names are given twice,
// locks are not taken, appends come twice.
class Lies {
 public:
  struct Answer {
    int64_t result = 0;
    struct stat info = {};
    std::string text;
    std::vector<std::string> names;
  };

  Lies(int one_in, uint64_t seed) : one_in_(one_in), random_(seed) {}

  bool Now() { return one_in_ > 0 && random_.OneIn(one_in_); }
  bool never() const { return one_in_ == 0; }

  // The truth, or the answer that this question got before.
  Answer Tell(const std::string& question, Answer truth);

  void Opened(int fd, const std::string& path) { paths_[fd] = path; }
  const std::string& PathOf(int fd) { return paths_[fd]; }

 private:
  const int one_in_;  // 0: tells the truth
  Random random_;
  std::map<std::string, Answer> before_;
  std::map<int, std::string> paths_;
};

}  // namespace penstock::coherence

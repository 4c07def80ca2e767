// One line on a terminal that says how far a long piece of work is: what is left, how many bytes a
// second, and about how long it takes. It is written over, and wiped at the end.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <string>

#include "proto/admin.pb.h"

namespace penstock::cli {

class WorkProgress {
 public:
  explicit WorkProgress(std::string what) : what_(std::move(what)) {}
  ~WorkProgress();
  // `left`: groups to do.
  void Show(const wire::StatusResponse& status, uint64_t left);

  // Of each target as it was seen, for Show() and tests.
  void Count(const wire::StatusResponse& status);
  uint64_t fetched_bytes() const { return fetched_; }

 private:
  const std::string what_;
  bool shown_ = false;
  absl::Time begun_;
  uint64_t first_left_ = 0;
  // By target. A server counts from its start on, and says nothing while it has nothing to sync.
  std::map<uint32_t, uint64_t> last_bytes_;
  uint64_t fetched_ = 0;  // by all, as far as it was seen
};

}  // namespace penstock::cli

// One line on a terminal that says how far a long piece of work is: what is left, how many bytes a
// second, and about how long it takes. It is written over, and wiped at the end.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>

#include "proto/admin.pb.h"

namespace penstock::cli {

class WorkProgress {
 public:
  explicit WorkProgress(std::string what) : what_(std::move(what)) {}
  ~WorkProgress();
  // `left`: groups to do; bytes are those that all targets have fetched.
  void Show(const wire::StatusResponse& status, uint64_t left);

 private:
  const std::string what_;
  bool shown_ = false;
  absl::Time begun_;
  uint64_t first_left_ = 0;
  uint64_t first_bytes_ = 0;
};

}  // namespace penstock::cli

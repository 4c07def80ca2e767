// One line about work under way, written over again and again on a terminal, and nowhere else: what
// is done, how fast, and how long the rest will take.
#pragma once

#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>

namespace penstock::cli {

struct Progress {
  std::string doing;      // "backup", "reading names"
  uint64_t done = 0;      // things; with `total` the base of the time left
  uint64_t total = 0;     // about; 0: not known
  std::string thing;      // "record"
  uint64_t bytes = 0;     // 0: not told
  absl::Duration passed;  // since the first of them
};
// "backup: 120 of about 400 records, 3.0 MiB, 1.5 MiB/s, about 4.0 s to go".
std::string ProgressText(const Progress& progress);

class ProgressLine {
 public:
  ~ProgressLine() { Clear(); }
  void Show(Progress progress);  // `passed` is filled in; at most a few times a second
  void Clear();

 private:
  std::string doing_;
  absl::Time begun_;
  absl::Time shown_ = absl::InfinitePast();
  bool on_screen_ = false;
};

}  // namespace penstock::cli

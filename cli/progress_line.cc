#include "cli/progress_line.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <unistd.h>

#include <cstdio>

#include "cli/human.h"

namespace penstock::cli {
namespace {

constexpr absl::Duration kShowEvery = absl::Milliseconds(250);
constexpr absl::Duration kRateOver = absl::Seconds(2);  // before that a rate says nothing

}  // namespace

std::string ProgressText(const Progress& progress) {
  std::string line = absl::StrCat(progress.doing, ": ", progress.done);
  if (progress.total > progress.done) absl::StrAppend(&line, " of about ", progress.total);
  absl::StrAppend(&line, " ", progress.thing, progress.done == 1 ? "" : "s");
  if (progress.bytes > 0) absl::StrAppend(&line, ", ", HumanBytes(progress.bytes));
  if (progress.passed < kRateOver || progress.done == 0) return line;
  const double seconds = absl::ToDoubleSeconds(progress.passed);
  const double each_second = static_cast<double>(progress.done) / seconds;
  if (progress.bytes > 0) {
    const double rate = static_cast<double>(progress.bytes) / seconds;
    absl::StrAppend(&line, ", ", HumanBytes(static_cast<uint64_t>(rate)), "/s");
  } else {
    absl::StrAppend(&line, ", ", static_cast<uint64_t>(each_second), "/s");
  }
  if (progress.total > progress.done) {
    const auto left = static_cast<double>(progress.total - progress.done);
    absl::StrAppend(&line, ", about ", HumanDuration(absl::Seconds(left / each_second)), " to go");
  }
  return line;
}

void ProgressLine::Show(Progress progress) {
  if (isatty(STDERR_FILENO) == 0) return;
  const absl::Time now = absl::Now();
  if (progress.doing != doing_) {
    doing_ = progress.doing;
    begun_ = now;
    shown_ = absl::InfinitePast();
  }
  if (now - shown_ < kShowEvery) return;
  shown_ = now;
  on_screen_ = true;
  progress.passed = now - begun_;
  std::fprintf(stderr, "\r\033[K%s", ProgressText(progress).c_str());
  std::fflush(stderr);
}

void ProgressLine::Clear() {
  if (!on_screen_) return;
  on_screen_ = false;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
}

}  // namespace penstock::cli

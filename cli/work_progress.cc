#include "cli/work_progress.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <unistd.h>

#include <cstdio>

#include "cli/human.h"

namespace penstock::cli {
namespace {

constexpr absl::Duration kRateOver = absl::Seconds(5);  // before that a rate says nothing

}  // namespace

WorkProgress::~WorkProgress() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

void WorkProgress::Show(const wire::StatusResponse& status, uint64_t left) {
  if (isatty(STDERR_FILENO) == 0) return;
  uint64_t bytes = 0;
  for (const wire::TargetInfo& target : status.targets()) bytes += target.sync_bytes_fetched();
  if (!shown_) {
    begun_ = absl::Now();
    first_left_ = left;
    first_bytes_ = bytes;
  }
  shown_ = true;
  std::string line = absl::StrCat(what_, ": ", Counted(left, "group"), " left");
  const absl::Duration passed = absl::Now() - begun_;
  if (passed >= kRateOver && bytes >= first_bytes_) {
    const double seconds = absl::ToDoubleSeconds(passed);
    const uint64_t fetched = bytes - first_bytes_;
    absl::StrAppend(&line, ", ", HumanBytes(fetched), " moved, ",
                    HumanBytes(static_cast<uint64_t>(static_cast<double>(fetched) / seconds)),
                    "/s");
    if (first_left_ > left) {
      const double each = seconds / static_cast<double>(first_left_ - left);
      absl::StrAppend(&line, ", about ",
                      HumanDuration(absl::Seconds(each * static_cast<double>(left))), " to go");
    }
  }
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
}

}  // namespace penstock::cli

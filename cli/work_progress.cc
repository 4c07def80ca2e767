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

void WorkProgress::Count(const wire::StatusResponse& status) {
  for (const wire::TargetInfo& target : status.targets()) {
    const uint64_t now = target.sync_bytes_fetched();
    if (now == 0) continue;  // nothing syncs there at this moment
    auto [last, first_seen] = last_bytes_.try_emplace(target.target().target_id(), now);
    if (!first_seen && now > last->second) fetched_ += now - last->second;
    last->second = now;
  }
}

void WorkProgress::Show(const wire::StatusResponse& status, uint64_t left) {
  if (isatty(STDERR_FILENO) == 0) return;
  Count(status);
  if (!shown_) {
    begun_ = absl::Now();
    first_left_ = left;
  }
  shown_ = true;
  std::string line = absl::StrCat(what_, ": ", Counted(left, "group"), " left");
  const absl::Duration passed = absl::Now() - begun_;
  if (passed >= kRateOver) {
    const double seconds = absl::ToDoubleSeconds(passed);
    absl::StrAppend(&line, ", ", HumanBytes(fetched_), " moved, ",
                    HumanBytes(static_cast<uint64_t>(static_cast<double>(fetched_) / seconds)),
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

// Numbers as people read them.
#pragma once

#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>

namespace penstock::cli {

std::string HumanBytes(uint64_t bytes);              // "0 B", "1.5 GiB"
std::string HumanDuration(absl::Duration duration);  // "0.3 s", "5 m 12 s", "3 h 4 m", "2 d 5 h"
std::string Percent(uint64_t part, uint64_t whole);  // "12 %", "-" when there is no whole
// "1 target", "3 targets".
std::string Counted(uint64_t n, absl::string_view noun);

}  // namespace penstock::cli

// Debian's abseil is built with its own string_view type, which does not convert from or to
// std::string_view. Penstock uses std::string_view; these cross the border to absl functions.
#pragma once

#include <absl/strings/string_view.h>

#include <string_view>

namespace penstock {

inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view ToStd(absl::string_view text) { return {text.data(), text.size()}; }

}  // namespace penstock

// Structured logs through spdlog: one event a line, key=value. Lines look like
//   2026-11-22T10:00:00.123456Z INFO metaserver[123] target registered target=3 ...
// SPDLOG_DEBUG is compiled out at spdlog's default, so debug messages call spdlog::debug.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>

namespace penstock {

struct LoggingOptions {
  std::string program;         // in every line
  std::string level = "info";  // debug, info, warning, error
  std::string file;            // empty: standard error; rotated at 64 MiB, 4 kept
};

absl::Status StartLogging(const LoggingOptions& options);
// Values with spaces or quotes, so that key=value stays readable by machines.
std::string Quoted(std::string_view value);

}  // namespace penstock

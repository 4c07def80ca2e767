#include "common/logging.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <google/protobuf/stubs/logging.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>

#include "common/text.h"
#include "common/units.h"

namespace penstock {
namespace {

constexpr size_t kRotateBytes = 64 * kMiB;
constexpr size_t kRotatedFiles = 4;

// Protobuf complains of what strangers send; who refuses the message says the rest.
void LogProtobuf(google::protobuf::LogLevel level, const char*, int, const std::string& message) {
  if (level >= google::protobuf::LOGLEVEL_FATAL) {
    SPDLOG_CRITICAL("protobuf message={}", Quoted(message));
  } else {
    spdlog::debug("protobuf message={}", Quoted(message));
  }
}

}  // namespace

absl::Status StartLogging(const LoggingOptions& options) {
  auto level = spdlog::level::from_str(options.level);
  if (level == spdlog::level::off && options.level != "off") {
    return absl::InvalidArgumentError(absl::StrCat("unknown log level \"", options.level,
                                                   "\": use debug, info, warning or error"));
  }
  std::shared_ptr<spdlog::sinks::sink> sink;
  try {
    if (options.file.empty()) {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(options.file, kRotateBytes,
                                                                    kRotatedFiles);
    }
  } catch (const spdlog::spdlog_ex& error) {  // spdlog reports a bad path only by exception
    return absl::FailedPreconditionError(
        absl::StrCat("cannot write log file ", options.file, ": ", error.what()));
  }
  auto logger = std::make_shared<spdlog::logger>(options.program, std::move(sink));
  logger->set_pattern(absl::StrCat("%Y-%m-%dT%H:%M:%S.%fZ %^%l%$ ", options.program, "[%P] %v"),
                      spdlog::pattern_time_type::utc);
  logger->set_level(level);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
  google::protobuf::SetLogHandler(LogProtobuf);
  return absl::OkStatus();
}

std::string Quoted(std::string_view value) {
  return absl::StrCat(
      "\"", absl::StrReplaceAll(ToAbsl(value), {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}}),
      "\"");
}

}  // namespace penstock

#include "common/logging.h"

#include <google/protobuf/stubs/logging.h>
#include <spdlog/spdlog.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/program.h"

namespace penstock {
namespace {

struct LogFile {
  std::string path = std::filesystem::temp_directory_path() / ("penstock-log-" + NewUuid());
  std::shared_ptr<spdlog::logger> before = spdlog::default_logger();
  ~LogFile() {
    spdlog::set_default_logger(before);
    std::filesystem::remove(path);
  }
  std::string Read() const {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
};

TEST_CASE("debug messages and protobuf's complaints appear at level debug only",
          "[common][logging]") {
  const bool debug = GENERATE(false, true);
  LogFile file;
  REQUIRE(StartLogging({"test", debug ? "debug" : "info", file.path}).ok());
  spdlog::debug("detail");
  GOOGLE_LOG(ERROR) << "not UTF-8";
  SPDLOG_INFO("event");
  spdlog::default_logger()->flush();
  const std::string text = file.Read();
  REQUIRE(text.find(" info test[") != std::string::npos);
  REQUIRE((text.find("detail") != std::string::npos) == debug);
  REQUIRE((text.find("not UTF-8") != std::string::npos) == debug);
}

TEST_CASE("a wrong log level or path is a clear error", "[common][logging]") {
  LogFile file;
  REQUIRE(absl::IsInvalidArgument(StartLogging({"test", "loud", file.path})));
  REQUIRE(absl::IsFailedPrecondition(StartLogging({"test", "info", "/proc/none/log"})));
}

}  // namespace
}  // namespace penstock

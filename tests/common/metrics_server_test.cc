#include "common/metrics_server.h"

#include <catch2/catch.hpp>

namespace penstock {

TEST_CASE("metrics are served at HOST:PORT and nowhere else", "[common][metrics]") {
  for (const char* good : {"127.0.0.1:9410", "[::1]:9410", "node7:1"}) {
    INFO(good);
    REQUIRE(CheckMetricsAddress(good).ok());
  }
  // Commas and pluses mean more addresses to the library.
  for (const char* bad : {"", "9410", ":9410", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
                          "127.0.0.1:65536", "127.0.0.1:http", "127.0.0.1:1,2", "127.0.0.1:+1"}) {
    INFO(bad);
    REQUIRE(absl::IsInvalidArgument(CheckMetricsAddress(bad)));
    REQUIRE(absl::IsInvalidArgument(
        MetricsServer::Listen(bad, [] { return std::vector<Metric>(); }).status()));
  }
}

}  // namespace penstock

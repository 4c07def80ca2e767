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

TEST_CASE("a latency falls into the bucket of its bound", "[common][metrics]") {
  LatencyHistogram histogram;
  histogram.Observe(absl::ZeroDuration());
  histogram.Observe(absl::Microseconds(50));  // at most
  histogram.Observe(absl::Microseconds(51));
  histogram.Observe(absl::Seconds(10));
  histogram.Observe(absl::Seconds(11));
  const LatencyHistogram::Snapshot taken = histogram.Take();
  REQUIRE(taken.counts.front() == 2);
  REQUIRE(taken.counts[1] == 1);
  REQUIRE(taken.counts[LatencyHistogram::kBoundsSeconds.size() - 1] == 1);
  REQUIRE(taken.counts.back() == 1);
  REQUIRE(taken.count() == 5);
  REQUIRE(taken.sum_seconds == Approx(21.000101));
}

TEST_CASE("a timer observes once, unless it is told to forget", "[common][metrics]") {
  LatencyHistogram histogram;
  { LatencyTimer timer(&histogram); }
  {
    LatencyTimer timer(&histogram);
    timer.Forget();
  }
  { LatencyTimer timer(nullptr); }
  REQUIRE(histogram.Take().count() == 1);
}

}  // namespace penstock

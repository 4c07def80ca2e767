#include "cli/restart_policy.h"

#include <catch2/catch.hpp>

namespace penstock::cli {
namespace {

RestartPolicy::Death At(int second, std::optional<absl::Duration> served, bool killed = false) {
  return {absl::UnixEpoch() + absl::Seconds(second), served, killed};
}

TEST_CASE("pauses grow with the deaths of the last minute and shrink again", "[cli][restart]") {
  RestartPolicy policy;
  const absl::Duration first = policy.Died(At(0, absl::Seconds(10)))->pause;
  REQUIRE(policy.Died(At(1, absl::Seconds(10)))->pause == first * 2);
  for (int i = 2; i < 15; ++i) {
    REQUIRE(policy.Died(At(i, absl::Seconds(10)))->pause <= RestartLimits().longest_pause);
  }
  REQUIRE(policy.Died(At(1000, absl::Seconds(10)))->pause == first);
}

TEST_CASE("a client that dies too often is given up", "[cli][restart]") {
  RestartPolicy policy;
  const RestartLimits limits;
  for (size_t i = 0; i < limits.crashes; ++i) {
    REQUIRE(policy.Died(At(1, absl::Seconds(10))).has_value());
  }
  REQUIRE(!policy.Died(At(1, absl::Seconds(10))).has_value());
}

TEST_CASE("killing a client gives nothing up", "[cli][restart]") {
  RestartPolicy policy;
  for (int i = 0; i < 100; ++i) {
    REQUIRE(policy.Died(At(1, std::nullopt, /*killed=*/true)).has_value());
  }
}

TEST_CASE("clients that never serve are given up soon", "[cli][restart]") {
  RestartPolicy policy;
  const RestartLimits limits;
  for (int i = 1; i < limits.never_ready; ++i) {
    REQUIRE(policy.Died(At(i, std::nullopt)).has_value());
  }
  SECTION("unless one served in between") {
    REQUIRE(policy.Died(At(10, absl::Seconds(10))).has_value());
    REQUIRE(policy.Died(At(11, std::nullopt)).has_value());
  }
  SECTION("else") { REQUIRE(!policy.Died(At(10, std::nullopt)).has_value()); }
}

TEST_CASE("requests that clients die of are dropped, those of killed ones are not",
          "[cli][restart]") {
  RestartPolicy policy;
  const RestartLimits limits;
  for (int i = 0; i < 10; ++i) {
    REQUIRE(!policy.Died(At(i, absl::Seconds(1), /*killed=*/true))->drop_requests);
  }
  for (int i = 1; i < limits.short_lives; ++i) {
    REQUIRE(!policy.Died(At(10 + i, absl::Seconds(1)))->drop_requests);
  }
  REQUIRE(policy.Died(At(20, absl::Seconds(1)))->drop_requests);
}

}  // namespace
}  // namespace penstock::cli

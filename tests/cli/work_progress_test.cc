#include "cli/work_progress.h"

#include <catch2/catch.hpp>

namespace penstock::cli {
namespace {

wire::StatusResponse Fetched(uint64_t one, uint64_t two) {
  wire::StatusResponse status;
  for (const auto& [id, bytes] : {std::pair{1u, one}, std::pair{2u, two}}) {
    wire::TargetInfo& target = *status.add_targets();
    target.mutable_target()->set_target_id(id);
    target.set_sync_bytes_fetched(bytes);
  }
  return status;
}

TEST_CASE("only what is fetched while somebody watches is counted", "[cli]") {
  WorkProgress progress("moving");
  progress.Count(Fetched(5000, 0));  // since its server started
  REQUIRE(progress.fetched_bytes() == 0);
  progress.Count(Fetched(5100, 700));
  REQUIRE(progress.fetched_bytes() == 100);
  progress.Count(Fetched(0, 720));  // the first has nothing to sync at this moment
  progress.Count(Fetched(5150, 720));
  REQUIRE(progress.fetched_bytes() == 170);
  progress.Count(Fetched(30, 720));  // its server has started again
  progress.Count(Fetched(40, 720));
  REQUIRE(progress.fetched_bytes() == 180);
}

}  // namespace
}  // namespace penstock::cli

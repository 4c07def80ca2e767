#include "common/status.h"

#include <catch2/catch.hpp>

#include <cerrno>

#include "common/net/grpc_credentials.h"

using namespace penstock;

TEST_CASE("an errno and a reason survive annotation and gRPC", "[common][status]") {
  absl::Status status =
      WithReason(PosixError(ENOTEMPTY, "rmdir: has entries"), Reason::kTruncating);
  status = Annotate(status, "remove /a");
  REQUIRE(ErrnoOf(status) == ENOTEMPTY);
  REQUIRE(ReasonOf(status) == Reason::kTruncating);
  REQUIRE(status.message() == "remove /a: rmdir: has entries");

  absl::Status back = net::FromGrpc(net::ToGrpc(status));
  REQUIRE(back.code() == status.code());
  REQUIRE(ErrnoOf(back) == ENOTEMPTY);
  REQUIRE(ReasonOf(back) == Reason::kTruncating);
}

TEST_CASE("a status without errno gets the nearest one", "[common][status]") {
  REQUIRE(ErrnoOf(absl::OkStatus()) == 0);
  REQUIRE(ErrnoOf(absl::DataLossError("x")) == EIO);
  REQUIRE(ErrnoOf(absl::NotFoundError("x")) == ENOENT);
  REQUIRE(IsRetryable(absl::UnavailableError("x")));
  REQUIRE_FALSE(IsRetryable(absl::DeadlineExceededError("x")));
}

// Says over what the suite of this program runs.
#include "tests/common/net/rpc_fixture.h"

namespace penstock::net {
namespace {

TEST_CASE("the suite runs over RDMA where a device is named", "[net][rdma]") {
  if (!OverRdma()) {
    WARN("RDMA cases skipped: PENSTOCK_TEST_RDMA names no addresses of RDMA devices");
    return;
  }
  RpcFixture fixture;
  REQUIRE(fixture.transport.name() == "rdma");
  auto client = fixture.NewClient();
  REQUIRE(RpcFixture::CallEcho(*client, Pattern(100'000)) == absl::OkStatus());
  REQUIRE(client->transport_name() == "rdma");
}

}  // namespace
}  // namespace penstock::net

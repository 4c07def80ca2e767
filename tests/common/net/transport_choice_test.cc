#include "common/net/transport_choice.h"

#include <catch2/catch.hpp>

#include "common/net/auto_transport.h"

namespace penstock::net {
namespace {

constexpr absl::Duration kRetry = absl::Seconds(30);
absl::Duration At(double seconds) { return absl::Seconds(seconds); }

TEST_CASE("modes have names", "[net][transport_choice]") {
  for (TransportMode mode : {TransportMode::kAuto, TransportMode::kRdma, TransportMode::kTcp}) {
    REQUIRE(ParseTransportMode(TransportModeName(mode)) == mode);
  }
  REQUIRE_FALSE(ParseTransportMode("ib").has_value());
}

TEST_CASE("a failure keeps a peer on TCP for a while, then one connection tries again",
          "[net][transport_choice]") {
  TransportChoice choice(kRetry);
  REQUIRE(choice.Try("a", At(0)));
  REQUIRE(choice.Try("a", At(0)));  // nothing is known to be wrong: all of them may
  REQUIRE(choice.Failed("a", RdmaFailure::kRefused, At(1)));
  REQUIRE_FALSE(choice.Failed("a", RdmaFailure::kRefused, At(1)));  // no news
  REQUIRE(choice.WhyNot("a") == RdmaFailure::kRefused);
  REQUIRE_FALSE(choice.WhyNot("b").has_value());
  REQUIRE_FALSE(choice.Try("a", At(30)));
  REQUIRE(choice.Try("b", At(30)));
  REQUIRE(choice.WouldTry("a", At(31)));
  REQUIRE(choice.Try("a", At(31)));
  REQUIRE_FALSE(choice.Try("a", At(31)));                       // only one finds out
  REQUIRE(choice.Failed("a", RdmaFailure::kTimedOut, At(32)));  // another reason is news
  REQUIRE_FALSE(choice.Try("a", At(61)));
  REQUIRE(choice.Try("a", At(62)));
  choice.GaveUp("a");
  REQUIRE(choice.Try("a", At(62)));
  choice.Worked("a");
  REQUIRE_FALSE(choice.WhyNot("a").has_value());
  REQUIRE(choice.Try("a", At(62)));
  REQUIRE(choice.failures(RdmaFailure::kRefused) == 2);
  REQUIRE(choice.failures(RdmaFailure::kTimedOut) == 1);
}

TEST_CASE("what fails on this machine counts for all peers", "[net][transport_choice]") {
  TransportChoice choice(kRetry);
  REQUIRE(choice.Failed("a", RdmaFailure::kNoDevice, At(0)));
  REQUIRE_FALSE(choice.Try("b", At(10)));
  REQUIRE(choice.WhyNot("b") == RdmaFailure::kNoDevice);
  REQUIRE_FALSE(choice.Failed("b", RdmaFailure::kNoDevice, At(10)));
  REQUIRE(choice.Try("b", At(40)));
  REQUIRE_FALSE(choice.Try("a", At(40)));  // one for all finds out
  choice.Worked("b");
  REQUIRE(choice.Try("a", At(40)));
}

TEST_CASE("only a peer whose connections break again and again is left alone",
          "[net][transport_choice]") {
  TransportChoice choice(kRetry);
  REQUIRE_FALSE(choice.Broke("a", At(0)));
  REQUIRE_FALSE(choice.Broke("a", At(20)));
  REQUIRE_FALSE(choice.Broke("a", At(60)));  // the first two are long ago
  REQUIRE(choice.Try("a", At(60)));
  REQUIRE_FALSE(choice.Broke("a", At(61)));
  REQUIRE(choice.Broke("a", At(62)));
  REQUIRE(choice.WhyNot("a") == RdmaFailure::kBroken);
  REQUIRE_FALSE(choice.Try("a", At(63)));
  REQUIRE(choice.Try("a", At(92)));
}

wire::Address Address(const char* transport, uint32_t port = 1) {
  wire::Address address;
  address.set_host("10.0.0.1");
  address.set_port(port);
  address.set_transport(transport);
  return address;
}

std::vector<std::string> Names(const std::vector<wire::Address>& addresses) {
  std::vector<std::string> names;
  for (const wire::Address& address : addresses) names.push_back(address.transport());
  return names;
}

TEST_CASE("auto tries RDMA first, and TCP alone after a failure", "[net][transport_choice]") {
  using Strings = std::vector<std::string>;
  const std::vector<wire::Address> both = {Address("tcp"), Address("rdma"), Address("rdma", 2)};
  AutoTransport chosen({.rdma_timeout = absl::Milliseconds(100)});
  REQUIRE(Names(chosen.Order(both)) == Strings{"rdma", "tcp"});
  REQUIRE(chosen.LimitFor(both[1], {}).Left() <= absl::Milliseconds(100));
  REQUIRE(chosen.LimitFor(both[0], {}).Left() == absl::InfiniteDuration());
  chosen.Outcome(both[1], RdmaError(RdmaFailure::kRefused, "no"));
  REQUIRE(chosen.WhyNotRdma(both) == "refused");
  REQUIRE(chosen.Order(both)[0].port() == 2);  // the other rail
  REQUIRE(chosen.ShouldReplace(both[0], both));
  chosen.Outcome(both[2], absl::DeadlineExceededError("silent"));
  REQUIRE(Names(chosen.Order(both)) == Strings{"tcp"});
  REQUIRE_FALSE(chosen.ShouldReplace(both[0], both));
  REQUIRE(chosen.WhyNotRdma({both[0]}) == "peer_has_none");

  AutoTransport rdma({.mode = TransportMode::kRdma});
  REQUIRE(Names(rdma.Order(both)) == Strings{"rdma", "rdma"});
  AutoTransport tcp({.mode = TransportMode::kTcp});
  REQUIRE(Names(tcp.Order(both)) == Strings{"tcp"});
  REQUIRE(tcp.WhyNotRdma(both).empty());
  REQUIRE(*tcp.ListenBeside("127.0.0.1", 0) == nullptr);
}

}  // namespace
}  // namespace penstock::net

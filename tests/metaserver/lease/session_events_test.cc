#include "metaserver/lease/session_events.h"

#include <catch2/catch.hpp>
#include <optional>

#include "tests/testing/fake_clock.h"

namespace penstock::metaserver {
namespace {

constexpr SessionId kSession(3);

struct Fixture {
  Fixture() { events.Enter(kSession); }
  bool Post(EventEnds ends, int* done) {
    wire::SessionEvent event;
    event.add_flush(5);
    return events.Post(kSession, event, ends, [done] { ++*done; });
  }
  std::optional<wire::SessionEventsResponse> Poll(uint64_t received,
                                                  std::vector<uint64_t> acks = {},
                                                  uint32_t wait_ms = 1000) {
    wire::SessionEventsRequest request;
    request.set_received(received);
    request.set_wait_ms(wait_ms);
    for (uint64_t number : acks) request.add_acks()->set_number(number);
    answer.reset();
    events.Poll(kSession, request, [this](wire::SessionEventsResponse r) { answer = r; });
    return answer;
  }
  testing::FakeClock clock;
  SessionEvents events{&clock};
  std::optional<wire::SessionEventsResponse> answer;
};

TEST_CASE("an event wakes the poll and is done with its acknowledgement", "[metaserver][lease]") {
  Fixture f;
  int done = 0;
  REQUIRE_FALSE(f.Poll(0).has_value());
  REQUIRE(f.Post(EventEnds::kWithLeases, &done));
  REQUIRE(f.answer->events_size() == 1);
  const uint64_t number = f.answer->events(0).number();
  REQUIRE(done == 0);
  REQUIRE_FALSE(f.Poll(number, {number}).has_value());
  REQUIRE(done == 1);
  REQUIRE(f.events.unanswered(kSession) == 0);
}

TEST_CASE("events of a lost answer come again", "[metaserver][lease]") {
  Fixture f;
  int done = 0;
  REQUIRE(f.Post(EventEnds::kWithLeases, &done));
  REQUIRE(f.Post(EventEnds::kWithLeases, &done));
  REQUIRE(f.Poll(0)->events_size() == 2);
  const auto again = f.Poll(0);
  REQUIRE(again->events_size() == 2);
  REQUIRE(f.Poll(again->events(0).number())->events_size() == 1);
  REQUIRE(done == 0);
}

TEST_CASE("void leases end what waits for them, and nothing else", "[metaserver][lease]") {
  Fixture f;
  int leases = 0, bytes = 0;
  REQUIRE(f.Post(EventEnds::kWithLeases, &leases));
  REQUIRE(f.Post(EventEnds::kWithSession, &bytes));
  f.events.LeasesVoid(kSession);
  REQUIRE(leases == 1);
  REQUIRE(bytes == 0);
  f.events.Gone(kSession);
  REQUIRE(bytes == 1);
  REQUIRE(f.Post(EventEnds::kWithSession, &bytes));  // nobody there any more
  REQUIRE(bytes == 2);
}

TEST_CASE("a message is done when it has arrived", "[metaserver][lease]") {
  Fixture f;
  int heard = 0;
  REQUIRE(f.Post(EventEnds::kWhenHeard, &heard));
  const auto first = f.Poll(0);
  REQUIRE(heard == 0);
  REQUIRE_FALSE(f.Poll(first->events(0).number()).has_value());
  REQUIRE(heard == 1);
}

TEST_CASE("a poll is answered after its time, and a newer one takes its place",
          "[metaserver][lease]") {
  Fixture f;
  REQUIRE_FALSE(f.Poll(0).has_value());
  f.clock.Advance(absl::Seconds(2));
  f.events.AnswerOldPolls();
  REQUIRE(f.answer.has_value());
  REQUIRE(f.answer->events().empty());
  REQUIRE_FALSE(f.Poll(0).has_value());
  wire::SessionEventsRequest request;
  request.set_wait_ms(1000);
  f.events.Poll(kSession, request, [](wire::SessionEventsResponse) {});
  REQUIRE(f.answer.has_value());  // the older one
}

}  // namespace
}  // namespace penstock::metaserver

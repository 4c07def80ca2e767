#include "metaserver/events/event_limiter.h"

#include <catch2/catch.hpp>

namespace penstock::metaserver {

TEST_CASE("a crowd of one kind is counted and holds no other kind back", "[metaserver][events]") {
  EventLimiter limiter;
  const absl::Duration start = absl::Seconds(100);
  uint64_t admitted = 0;
  for (int i = 0; i < 1000; ++i) admitted += limiter.Admit("disk.problem", start) ? 1 : 0;
  REQUIRE(admitted == EventLimiter::kPerWindow);
  REQUIRE(limiter.Admit("server.left", start));
  REQUIRE(limiter.TakeHeldBack(start + absl::Seconds(59)).empty());
  const auto held_back = limiter.TakeHeldBack(start + absl::Seconds(60));
  REQUIRE(held_back.size() == 1);
  REQUIRE(held_back[0].first == "disk.problem");
  REQUIRE(held_back[0].second == 1000 - EventLimiter::kPerWindow);
  REQUIRE(limiter.TakeHeldBack(start + absl::Minutes(5)).empty());
}

TEST_CASE("of clients that come and go few are told each minute", "[metaserver][events]") {
  EventLimiter limiter;
  uint64_t admitted = 0;
  for (int i = 0; i < 100; ++i) admitted += limiter.Admit("client.left", absl::Seconds(1)) ? 1 : 0;
  REQUIRE(admitted == EventLimiter::kOfClients);
  REQUIRE(limiter.TakeHeldBack(absl::Seconds(61))[0].second == 100 - EventLimiter::kOfClients);
}

TEST_CASE("a new minute begins anew and forgets no count", "[metaserver][events]") {
  EventLimiter limiter;
  for (int i = 0; i < 60; ++i) limiter.Admit("a", absl::Seconds(1));
  REQUIRE(limiter.Admit("a", absl::Seconds(62)));
  const auto held_back = limiter.TakeHeldBack(absl::Seconds(62));
  REQUIRE(held_back.size() == 1);
  REQUIRE(held_back[0].second == 10);
}

}  // namespace penstock::metaserver

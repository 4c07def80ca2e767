#include "common/cluster_settings.h"

#include <absl/strings/match.h>

#include <catch2/catch.hpp>
#include <set>

namespace penstock {
namespace {

using Catch::Contains;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

// What `text` comes back as, or why it is refused.
std::string Through(const Setting& setting, const std::string& text) {
  ClusterSettings settings;
  const absl::Status status = SetFromText(setting, text, &settings);
  return status.ok() ? ToText(setting, settings) : Message(status);
}

}  // namespace

TEST_CASE("every setting has a name of its own, and a default within its bounds", "[settings]") {
  std::set<std::string> names;
  for (const Setting& setting : AllSettings()) {
    INFO(setting.name);
    REQUIRE(names.insert(setting.name).second);
    REQUIRE(absl::StrContains(setting.name, "."));
    REQUIRE(!setting.help.empty());
    const std::string value = ToText(setting, ClusterSettings());
    REQUIRE(Through(setting, value) == value);
    if (setting.kind == Setting::Kind::kBool) continue;
    REQUIRE(Through(setting, setting.lowest) == setting.lowest);
    REQUIRE(Through(setting, setting.highest) == setting.highest);
  }
}

TEST_CASE("an unknown setting names the nearest", "[settings]") {
  REQUIRE((*FindSetting("repair.after"))->name == "repair.after");
  const absl::Status unknown = FindSetting("repair_after").status();
  REQUIRE(absl::IsNotFound(unknown));
  REQUIRE_THAT(Message(unknown), Contains("did you mean repair.after?"));
  REQUIRE_THAT(Message(FindSetting("reserve").status()), Contains("space.reserve"));
  REQUIRE(!FindSetting("").ok());
}

TEST_CASE("values are read with their units and written in the shortest form", "[settings]") {
  const Setting& repair = **FindSetting("repair.after");
  REQUIRE(Through(repair, "90s") == "1m30s");
  REQUIRE(Through(repair, "14d") == "14d");
  REQUIRE(Through(repair, "48h") == "2d");
  REQUIRE(Through(repair, "0.5d") == "12h");
  const Setting& rate = **FindSetting("sync.rate");
  REQUIRE(Through(rate, "1024MiB/s") == "1GiB/s");
  REQUIRE(Through(rate, "64M") == "64MiB/s");
  REQUIRE(Through(rate, "unlimited") == "unlimited");
  const Setting& reserve = **FindSetting("space.reserve");
  REQUIRE(Through(reserve, "2048KiB") == "2MiB");
  REQUIRE(Through(reserve, "0") == "0B");
  const Setting percent{"a.share",
                        Setting::Kind::kPercent,
                        static_cast<double ClusterSettings::*>(nullptr),
                        "1%",
                        "50%",
                        "h"};
  REQUIRE(AllowedText(percent) == "1% to 50%");
  REQUIRE(KindName(percent.kind) == "percentage");
}

TEST_CASE("what is no value or out of range is refused with what is allowed", "[settings]") {
  const Setting& repair = **FindSetting("repair.after");
  ClusterSettings settings;
  const ClusterSettings before = settings;
  for (const char* text : {"", "-5s", "5", "soon", "0s", "31d", "1e9d", "inf", "nan d", "5s5"}) {
    INFO(text);
    const absl::Status status = SetFromText(repair, text, &settings);
    REQUIRE(absl::IsInvalidArgument(status));
    REQUIRE_THAT(Message(status), Contains("repair.after is a duration, 1s to 30d; not '"));
    REQUIRE(settings == before);
  }
  REQUIRE_THAT(Through(**FindSetting("sync.rate"), "0"),
               Contains("1MiB/s to 100GiB/s or unlimited"));
  REQUIRE_THAT(Through(**FindSetting("sync.rate"), "10"), Contains("not '10'"));
  REQUIRE_THAT(Through(**FindSetting("space.reserve"), "5%"), Contains("a size"));
  REQUIRE_THAT(Through(**FindSetting("space.reserve"), "99999999TiB"), Contains("a size"));
}

TEST_CASE("periods are read as people write them", "[settings]") {
  absl::Duration period;
  REQUIRE(ParsePeriod("2d", &period));
  REQUIRE(period == absl::Hours(48));
  REQUIRE(ParsePeriod("1h30m", &period));
  REQUIRE(FormatPeriod(period) == "1h30m");
  REQUIRE(FormatPeriod(absl::Hours(24)) == "24h");
  for (const char* text : {"d", "-1d", "1w", "-3s", "infd"}) REQUIRE(!ParsePeriod(text, &period));
}

}  // namespace penstock

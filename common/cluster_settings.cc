#include "common/cluster_settings.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <cmath>

#include "common/program.h"
#include "common/status.h"
#include "common/text.h"

namespace penstock {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);
constexpr absl::string_view kUnlimited = "unlimited";

// Letters to change, add or take away to make one of the other.
size_t Distance(absl::string_view one, absl::string_view other) {
  std::vector<size_t> row(other.size() + 1);
  for (size_t j = 0; j <= other.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= one.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= other.size(); ++j) {
      const size_t changed = diagonal + (one[i - 1] == other[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

bool Parse(Setting::Kind, absl::string_view text, absl::Duration* value) {
  return ParsePeriod(ToStd(text), value);
}

bool Parse(Setting::Kind kind, absl::string_view text, uint64_t* value) {
  if (kind == Setting::Kind::kRate) {
    if (text == kUnlimited) {
      *value = 0;
      return true;
    }
    absl::ConsumeSuffix(&text, "/s");
    return ParseBytes(ToStd(text), value) && *value != 0;
  }
  return ParseBytes(ToStd(text), value);
}

bool Parse(Setting::Kind, absl::string_view text, double* value) {
  absl::ConsumeSuffix(&text, "%");
  return absl::SimpleAtod(text, value) && std::isfinite(*value);
}

bool Parse(Setting::Kind, absl::string_view text, bool* value) {
  *value = text == "true" || text == "on" || text == "yes";
  return *value || text == "false" || text == "off" || text == "no";
}

std::string Format(Setting::Kind, absl::Duration value) { return FormatPeriod(value); }
std::string Format(Setting::Kind kind, uint64_t value) {
  if (kind == Setting::Kind::kSize) return FormatBytes(value);
  return value == 0 ? std::string(kUnlimited) : absl::StrCat(FormatBytes(value), "/s");
}
std::string Format(Setting::Kind, double value) { return absl::StrCat(value, "%"); }
std::string Format(Setting::Kind, bool value) { return value ? "true" : "false"; }

bool IsUnlimited(absl::Duration) { return false; }
bool IsUnlimited(uint64_t rate) { return rate == 0; }
bool IsUnlimited(double) { return false; }
bool IsUnlimited(bool) { return true; }

template <typename Value>
bool IsAllowed(const Setting& setting, Value value) {
  if (setting.kind == Setting::Kind::kBool) return true;
  if (setting.kind == Setting::Kind::kRate && IsUnlimited(value)) return true;
  Value lowest{}, highest{};
  INVARIANT(Parse(setting.kind, setting.lowest, &lowest));
  INVARIANT(Parse(setting.kind, setting.highest, &highest));
  return lowest <= value && value <= highest;
}

}  // namespace

// Append new ones at the end of their group; docs/operate/settings.md has a row for each.
const std::vector<Setting>& AllSettings() {
  using Kind = Setting::Kind;
  static const std::vector<Setting> kAll = {
      {"offline.after", Kind::kDuration, &ClusterSettings::offline_after, "2s", "10m",
       "a chunkserver silent for longer is offline: its targets leave their groups"},
      {"repair.after", Kind::kDuration, &ClusterSettings::repair_after, "1s", "30d",
       "then another target takes the place of one that stays away"},
      {"sync.rate", Kind::kRate, &ClusterSettings::sync_bytes_per_second, "1MiB/s", "100GiB/s",
       "bytes that each chunkserver fetches to bring its targets in sync"},
      {"space.reserve", Kind::kSize, &ClusterSettings::reserve_bytes, "0B", "1024TiB",
       "space of each target's disk that chunks never take"},
      {"scrub.every", Kind::kDuration, &ClusterSettings::scrub_every, "1h", "3650d",
       "in which each chunkserver reads and checks all that its disks hold"},
      {"leases.contested", Kind::kDuration, &ClusterSettings::leases_contested, "0", "1m",
       "so long nobody keeps names of a directory after two mounts have changed it"},
  };
  return kAll;
}

absl::StatusOr<const Setting*> FindSetting(std::string_view name) {
  const Setting* nearest = nullptr;
  size_t least = 0;
  for (const Setting& setting : AllSettings()) {
    if (setting.name == name) return &setting;
    const size_t distance = Distance(ToAbsl(name), setting.name);
    if (nearest != nullptr && distance >= least) continue;
    nearest = &setting;
    least = distance;
  }
  return absl::NotFoundError(absl::StrCat("there is no setting '", ToAbsl(name), "'; did you mean ",
                                          nearest->name, "? `penstock config ls` lists them"));
}

absl::Status SetFromText(const Setting& setting, const std::string& text,
                         ClusterSettings* settings) {
  return std::visit(
      [&](auto field) -> absl::Status {
        auto value = settings->*field;
        if (Parse(setting.kind, text, &value) && IsAllowed(setting, value)) {
          settings->*field = value;
          return absl::OkStatus();
        }
        return absl::InvalidArgumentError(absl::StrCat(setting.name, " is a ",
                                                       KindName(setting.kind), ", ",
                                                       AllowedText(setting), "; not '", text, "'"));
      },
      setting.field);
}

std::string ToText(const Setting& setting, const ClusterSettings& settings) {
  return std::visit([&](auto field) { return Format(setting.kind, settings.*field); },
                    setting.field);
}

std::string AllowedText(const Setting& setting) {
  if (setting.kind == Setting::Kind::kBool) return "true or false";
  const std::string range = absl::StrCat(setting.lowest, " to ", setting.highest);
  return setting.kind == Setting::Kind::kRate ? absl::StrCat(range, " or ", kUnlimited) : range;
}

std::string KindName(Setting::Kind kind) {
  switch (kind) {
    case Setting::Kind::kDuration:
      return "duration";
    case Setting::Kind::kSize:
      return "size";
    case Setting::Kind::kRate:
      return "rate";
    case Setting::Kind::kPercent:
      return "percentage";
    case Setting::Kind::kBool:
      return "switch";
  }
  return "";
}

bool ParsePeriod(std::string_view period, absl::Duration* value) {
  absl::string_view text = ToAbsl(period);
  if (absl::ConsumeSuffix(&text, "d")) {
    double days = 0;
    if (!absl::SimpleAtod(text, &days) || !std::isfinite(days) || days < 0) return false;
    *value = days * kDay;
    return true;
  }
  return absl::ParseDuration(text, value) && *value >= absl::ZeroDuration() &&
         *value != absl::InfiniteDuration();
}

std::string FormatPeriod(absl::Duration period) {
  if (period >= 2 * kDay && period % kDay == absl::ZeroDuration()) {
    return absl::StrCat(period / kDay, "d");
  }
  return absl::FormatDuration(period);
}

}  // namespace penstock

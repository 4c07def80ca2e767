// The settings of a whole cluster, which `penstock config` changes while it runs: names, kinds,
// bounds and defaults in one table. A new one is a field here and a row in cluster_settings.cc; who
// uses it reads the field. Pure.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/units.h"

namespace penstock {

struct ClusterSettings {
  absl::Duration offline_after = absl::Seconds(5);  // more on slow machines
  absl::Duration repair_after = absl::Minutes(10);  // more where repairs take longer
  uint64_t sync_bytes_per_second = 200 * kMiB;      // 0: as fast as it goes
  uint64_t reserve_bytes = 1 * kGiB;                // of each disk
  absl::Duration scrub_every = absl::Hours(24 * 14);
  absl::Duration leases_contested = absl::Seconds(1);  // zero: no directory ever is
  friend bool operator==(const ClusterSettings&, const ClusterSettings&) = default;
};

struct Setting {
  // What can be written: "1m30s" and "14d"; "64MiB"; "200MiB/s" and "unlimited"; "5%"; "true".
  enum class Kind { kDuration, kSize, kRate, kPercent, kBool };
  using Field = std::variant<absl::Duration ClusterSettings::*, uint64_t ClusterSettings::*,
                             double ClusterSettings::*, bool ClusterSettings::*>;
  std::string name;
  Kind kind;
  Field field;
  std::string lowest, highest;  // as they are written; both empty for kBool
  std::string help;             // one line
};

const std::vector<Setting>& AllSettings();
// NOT_FOUND names the nearest.
absl::StatusOr<const Setting*> FindSetting(std::string_view name);

// INVALID_ARGUMENT says what is allowed; `settings` is then as before.
absl::Status SetFromText(const Setting& setting, const std::string& text,
                         ClusterSettings* settings);
// The shortest text that SetFromText takes back unchanged.
std::string ToText(const Setting& setting, const ClusterSettings& settings);
// "1s to 30d", "true or false".
std::string AllowedText(const Setting& setting);
std::string KindName(Setting::Kind kind);

// "10m" and "1.5s" as Go writes them, and "14d"; false when it is no duration.
bool ParsePeriod(std::string_view text, absl::Duration* period);
std::string FormatPeriod(absl::Duration period);

}  // namespace penstock

#include "chunkserver/control/setting_follower.h"

#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include "common/logging.h"
#include "common/status.h"

namespace penstock::chunkserver {

void SettingFollower::Take(const std::vector<wire::Setting>& set) {
  ClusterSettings next = own_;
  std::string refused;
  for (const wire::Setting& one : set) {
    absl::StatusOr<const Setting*> setting = FindSetting(one.name());
    const absl::Status taken =
        setting.ok() ? SetFromText(**setting, one.value(), &next) : setting.status();
    if (!taken.ok()) absl::StrAppend(&refused, refused.empty() ? "" : "; ", taken.message());
  }
  if (refused != refused_ && !refused.empty()) {
    SPDLOG_WARN("settings of the cluster without effect here error={}", Quoted(refused));
  }
  refused_ = refused;
  if (next == current_) return;
  for (const Setting& setting : AllSettings()) {
    const std::string before = ToText(setting, current_);
    const std::string now = ToText(setting, next);
    if (before != now) {
      SPDLOG_INFO("setting taken name={} value={} before={}", setting.name, now, before);
    }
  }
  current_ = next;
  apply_(current_);
}

}  // namespace penstock::chunkserver

// The part of ClusterState that lets people change how it works while it runs.
#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include "common/logging.h"
#include "common/status.h"
#include "metaserver/cluster/cluster_state.h"

namespace penstock::metaserver {

// What the cluster has set stands above the options of the start.
ClusterOptions ClusterState::OptionsNow() const {
  ClusterOptions now = options_;
  const ClusterSettings settings = settings_->Current();
  now.offline_after = settings.offline_after;
  now.repair_after = settings.repair_after;
  return now;
}

// A server must have stopped serving by itself long before it counts as offline. One that has not
// registered since our start may have any fence time.
absl::Status ClusterState::CheckFences(absl::Duration offline_after) const {
  absl::MutexLock lock(&mu_);
  for (const auto& [id, server] : inventory_.servers) {
    if (server.record.server().state() == wire::SERVER_OFFLINE) continue;
    if (server.instance.empty()) {
      return absl::UnavailableError(
          absl::StrCat(Describe(server),
                       " has not been heard since the metaserver started: try again when "
                       "it is back, or counts as offline"));
    }
    if (2 * server.fence_after <= offline_after) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "offline.after must be at least twice the time after which a chunkserver stops serving "
        "by itself, and ",
        Describe(server), " does so after ", absl::FormatDuration(server.fence_after),
        ": start it with a shorter --fence-after first"));
  }
  return absl::OkStatus();
}

absl::StatusOr<wire::ChangeSettingResponse> ClusterState::ChangeSetting(const std::string& name,
                                                                        const std::string& value) {
  ChangeTurn::Hold turn(&turn_);  // no server registers in between
  ASSIGN_OR_RETURN(const SettingStore::Change change, settings_->Plan(name, value));
  const ClusterSettings before = settings_->Current();
  if (change.next.offline_after < before.offline_after) {
    RETURN_IF_ERROR(CheckFences(change.next.offline_after));
  }
  wire::ChangeSettingResponse response;
  response.set_before(ToText(*change.setting, before));
  const wire::SettingInfo was = settings_->Info(*change.setting);
  if (was.is_set() != !change.value.empty() || was.value() != change.value) {
    RETURN_IF_ERROR(settings_->Commit(change));
    absl::MutexLock lock(&mu_);
    events_.Setting(absl::StrCat(name, " is ", ToText(*change.setting, change.next),
                                 change.value.empty() ? ", the default" : "", ", before ",
                                 response.before()));
    SPDLOG_INFO("setting changed name={} value={} before={} is_set={}", name,
                ToText(*change.setting, change.next), response.before(), !change.value.empty());
  }
  *response.mutable_setting() = settings_->Info(*change.setting);
  return response;
}

}  // namespace penstock::metaserver

// SettingFollower brings what the cluster has set (`penstock config`) to this server: it stands
// above the server's own options. Used by the heartbeat's thread alone.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/cluster_settings.h"
#include "proto/cluster.pb.h"

namespace penstock::chunkserver {

class SettingFollower {
 public:
  // `apply` is called with the result whenever it is another one; `own` is in effect at first.
  using Apply = std::function<void(const ClusterSettings& settings)>;
  SettingFollower(const ClusterSettings& own, Apply apply)
      : own_(own), apply_(std::move(apply)), current_(own) {}

  // All that the cluster has set. What this program does not know has no effect; the log says so.
  void Take(const std::vector<wire::Setting>& set);

 private:
  const ClusterSettings own_;
  const Apply apply_;
  ClusterSettings current_;
  std::string refused_;  // as last said in the log
};

}  // namespace penstock::chunkserver

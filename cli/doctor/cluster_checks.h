// What can be wrong with a cluster, as seen from this machine. Pure.
#pragma once

#include <optional>

#include "cli/doctor/finding.h"
#include "cli/doctor/machine.h"
#include "proto/admin.pb.h"

namespace penstock::cli {

struct ClusterFacts {
  std::string name;            // as people would say it: the directory or the address
  std::string keys_directory;  // certificates
  std::vector<std::pair<std::string, uint16_t>> own_ports;  // of servers that run here: who, where
  absl::StatusOr<wire::StatusResponse> status = absl::UnknownError("not asked");
  absl::Time asked, answered;  // of this machine's clock
  std::string own_version;
};

Findings CheckCluster(const Machine& machine, const ClusterFacts& facts);

}  // namespace penstock::cli

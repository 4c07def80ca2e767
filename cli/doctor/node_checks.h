// What can be wrong with a machine, whatever the cluster. Pure.
#pragma once

#include <utility>

#include "cli/doctor/finding.h"
#include "cli/doctor/machine.h"

namespace penstock::cli {

// {major, minor} of "6.1.0-18-amd64"; {0, 0} when it is no version.
std::pair<int, int> KernelVersion(const std::string& release);

Findings CheckNode(const Machine& machine);
// The ports that a cluster takes by itself, when none runs here.
Findings CheckDefaultPorts(const Machine& machine);

}  // namespace penstock::cli

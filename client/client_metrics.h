// What a mounted client counts (docs/operate/metrics.md lists it).
#pragma once

#include <vector>

#include "client/entry_cache.h"
#include "client/file_system.h"
#include "client/meta_client.h"
#include "client/read_pace.h"
#include "common/metrics_server.h"

namespace penstock::client {

std::vector<Metric> ClientMetrics(const MetaClient& meta, const EntryCache& cache,
                                  const FileSystem& fs, const ReadPace& pace);

}  // namespace penstock::client

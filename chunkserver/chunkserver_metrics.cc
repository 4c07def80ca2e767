#include "chunkserver/chunkserver_metrics.h"

#include <absl/container/flat_hash_map.h>
#include <absl/strings/str_cat.h>

#include "common/net/rpc_server_metrics.h"

namespace penstock::chunkserver {
namespace {

using Kind = Metric::Kind;
using Labels = std::vector<std::pair<std::string, std::string>>;

// One metric with a sample for each target.
class ByTarget {
 public:
  ByTarget(Kind kind, const char* name, const char* help)
      : metric_(Metric::Of(kind, absl::StrCat("penstock_chunkserver_target_", name), help)) {}
  void Add(const Target& target, uint64_t value) {
    metric_.Add(LabelsOf(target), static_cast<double>(value));
  }
  void Add(const Target& target, const LatencyHistogram& times) {
    metric_.Add(LabelsOf(target), times);
  }
  Metric Take() { return std::move(metric_); }

 private:
  static Labels LabelsOf(const Target& target) {
    return {{"target", absl::StrCat(target.target_id().value())}, {"path", target.path}};
  }
  Metric metric_;
};

void AddTargets(const Targets& targets, std::vector<Metric>* metrics) {
  ByTarget open(Kind::kGauge, "open", "1: it is served; 0: it is absent.");
  ByTarget read(Kind::kHistogram, "read_seconds", "Reads of a chunk from the disk or its cache.");
  ByTarget write(Kind::kHistogram, "write_seconds", "Writes of a chunk, not yet synced.");
  ByTarget barrier(Kind::kHistogram, "barrier_seconds",
                   "Syncs of everything written before (one at least every second in use).");
  ByTarget queued(Kind::kGauge, "reads_queued", "Reads that wait for the disk's threads.");
  ByTarget io(Kind::kCounter, "io_errors_total", "Errors that the disk reported.");
  ByTarget checksum(Kind::kCounter, "checksum_errors_total",
                    "Reads whose bytes were not those that had been written.");
  for (const auto& target : targets.all()) {
    open.Add(*target, target->is_open() ? 1 : 0);
    if (!target->is_open()) continue;
    read.Add(*target, target->store->times().read);
    write.Add(*target, target->store->times().write);
    barrier.Add(*target, target->store->times().barrier);
    if (target->readers != nullptr) queued.Add(*target, target->readers->queued());
    io.Add(*target, target->store->io_errors());
    checksum.Add(*target, target->store->checksum_errors());
  }
  for (ByTarget* metric : {&open, &read, &write, &barrier, &queued, &io, &checksum}) {
    metrics->push_back(metric->Take());
  }
}

// As the health sampler measured it last, so that a scrape waits for no disk.
void AddSpace(const MetricSources& from, std::vector<Metric>* metrics) {
  ByTarget capacity(Kind::kGauge, "capacity_bytes", "Of its file system.");
  ByTarget free(Kind::kGauge, "free_bytes", "Above the reserve.");
  ByTarget stored(Kind::kGauge, "stored_bytes", "In its chunks.");
  ByTarget chunks(Kind::kGauge, "chunks", "That it holds.");
  ByTarget damaged(Kind::kGauge, "damaged_chunks", "Whose copy here is bad at this moment.");
  ByTarget lost(Kind::kGauge, "lost_chunks", "Of them: no other copy in sync is good either.");
  ByTarget repaired(Kind::kCounter, "repaired_chunks_total", "Mended since the server started.");
  absl::flat_hash_map<uint32_t, const Target*> by_id;
  for (const auto& target : from.targets->all()) by_id[target->target_id().value()] = target.get();
  for (const wire::TargetHealth& health : from.health->Last()) {
    if (health.target_id() == 0) continue;  // not registered yet
    auto target = by_id.find(health.target_id());
    if (target == by_id.end() || !target->second->is_open() || target->second->removed) continue;
    capacity.Add(*target->second, health.capacity_bytes());
    free.Add(*target->second, health.free_bytes());
    stored.Add(*target->second, health.stored_bytes());
    chunks.Add(*target->second, health.chunks());
    damaged.Add(*target->second, health.damaged_chunks());
    lost.Add(*target->second, health.lost_chunks());
    repaired.Add(*target->second, health.repaired_chunks());
  }
  ByTarget syncing(Kind::kGauge, "syncing_groups", "Groups where it is not in sync yet.");
  ByTarget compared(Kind::kGauge, "sync_chunks", "Compared while it catches up.");
  ByTarget fetched(Kind::kGauge, "sync_bytes", "Fetched while it catches up.");
  for (const wire::SyncProgress& progress : from.sync->progress()) {
    auto target = by_id.find(progress.target_id());
    if (target == by_id.end()) continue;
    syncing.Add(*target->second, progress.groups_left());
    compared.Add(*target->second, progress.chunks_done());
    fetched.Add(*target->second, progress.bytes_fetched());
  }
  for (ByTarget* metric : {&capacity, &free, &stored, &chunks, &damaged, &lost, &repaired, &syncing,
                           &compared, &fetched}) {
    metrics->push_back(metric->Take());
  }
}

}  // namespace

std::vector<Metric> ChunkserverMetrics(const MetricSources& from) {
  std::vector<Metric> metrics;
  AddTargets(*from.targets, &metrics);
  AddSpace(from, &metrics);
  Metric& writes = metrics.emplace_back(
      Metric::Of(Kind::kGauge, "penstock_chunkserver_writes_queued",
                 "Writes that wait for a thread, by the place in their chain."));
  const std::vector<size_t> queued = from.service->writes_queued();
  for (size_t hop = 0; hop < queued.size(); ++hop) {
    writes.Add({{"hop", absl::StrCat(hop)}}, static_cast<double>(queued[hop]));
  }
  const auto gauge = [&](const char* name, const char* help, double value) {
    metrics.push_back(Metric::Gauge(absl::StrCat("penstock_chunkserver_", name), help, value));
  };
  gauge("orders_queued", "Deletions and truncations that the metaserver asked for, to be done.",
        static_cast<double>(from.orders->waiting()));
  gauge("unsettled_chunks", "Chunks with a write that its client has not finished.",
        static_cast<double>(from.settler->noted()));
  gauge("registered", "1: the metaserver knows this server.", from.link->registered() ? 1 : 0);
  gauge("lease_seconds", "How long it may serve without another heartbeat; 0: it serves nothing.",
        absl::ToDoubleSeconds(from.lease->left()));
  gauge("map_version", "Version of the cluster map that it goes by.",
        static_cast<double>(from.map->Get()->version()));
  net::AddRpcServerMetrics(*from.rpc, &metrics);
  from.transport->AddMetrics(&metrics);
  return metrics;
}

}  // namespace penstock::chunkserver

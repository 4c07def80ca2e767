#include "metaserver/metaserver_metrics.h"

#include <absl/strings/ascii.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <map>

#include "common/net/rpc_server_metrics.h"

namespace penstock::metaserver {
namespace {

using Metrics = std::vector<Metric>;

void Gauge(Metrics* metrics, const char* name, const char* help, uint64_t value) {
  metrics->push_back(Metric::Gauge(name, help, static_cast<double>(value)));
}

void ByState(Metrics* metrics, const char* name, const char* help,
             const std::map<std::string, uint64_t>& counts) {
  Metric& metric = metrics->emplace_back(Metric::Of(Metric::Kind::kGauge, name, help));
  for (const auto& [state, count] : counts) {
    metric.Add({{"state", state}}, static_cast<double>(count));
  }
}

std::string Lower(absl::string_view name, absl::string_view prefix) {
  absl::ConsumePrefix(&name, prefix);
  return absl::AsciiStrToLower(name);
}

void AddMembership(const ClusterView& view, Metrics* metrics) {
  std::map<std::string, uint64_t> servers = {{"online", 0}, {"offline", 0}};
  for (const wire::ServerInfo& info : view.servers) {
    ++servers[Lower(wire::ServerState_Name(info.server().state()), "SERVER_")];
  }
  ByState(metrics, "penstock_metaserver_servers", "Chunkservers by state.", servers);
  std::map<std::string, uint64_t> targets = {
      {"online", 0}, {"offline", 0}, {"absent", 0}, {"failed", 0}};
  for (const wire::TargetInfo& info : view.targets) {
    ++targets[Lower(wire::TargetState_Name(info.target().state()), "TARGET_")];
  }
  ByState(metrics, "penstock_metaserver_targets", "Targets by state.", targets);
  std::map<std::string, uint64_t> groups = {{"healthy", 0}, {"degraded", 0}, {"unavailable", 0}};
  for (const wire::GroupsByState& state : view.groups_by_state) {
    groups[state.state()] = state.groups();
  }
  ByState(metrics, "penstock_metaserver_groups",
          "Groups by state: unavailable ones have no copy in sync online.", groups);
}

void AddRepair(const wire::RepairInfo& repair, Metrics* metrics) {
  Gauge(metrics, "penstock_metaserver_repair_below_goal_groups",
        "Groups with fewer copies in sync than their class wants.", repair.below_goal());
  Gauge(metrics, "penstock_metaserver_repair_one_copy_groups",
        "Of them: only one copy is left, of several.", repair.one_copy());
  Gauge(metrics, "penstock_metaserver_repair_syncing_groups",
        "Groups where a copy is being brought up to date.", repair.syncing());
  Gauge(metrics, "penstock_metaserver_repair_waiting_groups",
        "Groups that wait for a target to return, or for another to take its place.",
        repair.missing());
  Gauge(metrics, "penstock_metaserver_repair_moving_groups",
        "Groups where a copy moves to another target.", repair.moving());
}

void AddClients(const MetricSources& sources, Metrics* metrics) {
  std::map<std::string, uint64_t> clients = {{"live", 0}, {"stale", 0}};
  uint64_t leases = 0, unanswered = 0, locks = 0, waits = 0, opens = 0;
  for (const SessionInfo& session : sources.names->sessions().List()) {
    const bool stale = session.since_heartbeat >= sources.names->sessions().options().timeout;
    ++clients[stale ? "stale" : "live"];
    leases += sources.names->leases().leases(session.record.id);
    unanswered += sources.names->events().unanswered(session.record.id);
    const LockCounts counts = sources.locks->CountsOf(session.record.id);
    locks += counts.locks;
    waits += counts.waiting;
    opens += session.open_files;
  }
  ByState(metrics, "penstock_metaserver_clients", "Mounted clients; stale ones are silent.",
          clients);
  Gauge(metrics, "penstock_metaserver_leases", "Leases of all clients.", leases);
  Gauge(metrics, "penstock_metaserver_recalls_waiting",
        "What clients were told to drop and have not answered yet.", unanswered);
  Gauge(metrics, "penstock_metaserver_locks", "Locks of files that are held.", locks);
  Gauge(metrics, "penstock_metaserver_lock_waits", "Locks that are waited for.", waits);
  Gauge(metrics, "penstock_metaserver_open_files", "Files that clients have open.", opens);
}

void AddWork(const MetricSources& sources, Metrics* metrics) {
  Gauge(metrics, "penstock_metaserver_changes_queued", "Metadata changes that wait for a worker.",
        sources.service->queued());
  Gauge(metrics, "penstock_metaserver_orders",
        "Deletions and truncations of chunks that chunkservers were asked for.",
        sources.cluster->orders().under_way());
  const Reclaimer::Counters reclaimed = sources.reclaimer->counters();
  metrics->push_back(Metric::Counter("penstock_metaserver_orphans_reclaimed_total",
                                     "Files without a name that were removed.",
                                     static_cast<double>(reclaimed.orphans_reclaimed)));
  metrics->push_back(Metric::Counter("penstock_metaserver_contents_deleted_total",
                                     "Contents of files whose chunks were deleted.",
                                     static_cast<double>(reclaimed.contents_deleted)));
  metrics->push_back(Metric::Counter("penstock_metaserver_log_entries_total",
                                     "Changes of metadata since the cluster was made.",
                                     static_cast<double>(sources.names->log().last_index())));
  auto counters = sources.names->Counters(kRootDataset);
  Gauge(metrics, "penstock_metaserver_inodes", "Files and directories.",
        counters.ok() ? static_cast<uint64_t>(std::max<int64_t>(0, counters->inodes)) : 0);
}

}  // namespace

std::vector<Metric> MetaserverMetrics(const MetricSources& sources) {
  Metrics metrics;
  const ClusterView view = sources.cluster->View();
  AddMembership(view, &metrics);
  AddRepair(view.repair, &metrics);
  Gauge(&metrics, "penstock_metaserver_problems", "Problems that `penstock status` shows.",
        sources.admin->Problems(view).size());
  Gauge(&metrics, "penstock_metaserver_read_only",
        "1 while its disk is too full for changes of metadata.",
        sources.space->Problem().empty() ? 0u : 1u);
  Gauge(&metrics, "penstock_metaserver_capacity_bytes", "Of all disks, each counted once.",
        view.capacity_bytes);
  Gauge(&metrics, "penstock_metaserver_free_bytes", "Of all disks that are online.",
        view.free_bytes);
  Gauge(&metrics, "penstock_metaserver_map_version", "Version of the cluster map.",
        view.map_version);
  AddClients(sources, &metrics);
  AddWork(sources, &metrics);
  net::AddRpcServerMetrics(*sources.rpc, &metrics);
  return metrics;
}

}  // namespace penstock::metaserver

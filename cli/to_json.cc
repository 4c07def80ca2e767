#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/strip.h>
#include <absl/time/time.h>

#include <cstdio>

#include "cli/listing.h"

namespace penstock::cli {
namespace {

std::string LowerWithout(absl::string_view name, absl::string_view prefix) {
  absl::ConsumePrefix(&name, prefix);
  return name.empty() ? "unknown" : absl::AsciiStrToLower(name);
}

}  // namespace

std::string StateName(wire::ServerState state) {
  return LowerWithout(wire::ServerState_Name(state), "SERVER_");
}
std::string StateName(wire::TargetState state) {
  return LowerWithout(wire::TargetState_Name(state), "TARGET_");
}
std::string StateName(wire::MemberState state) {
  return LowerWithout(wire::MemberState_Name(state), "MEMBER_");
}

Json ToJson(const wire::Address& address) {
  return {{"host", address.host()}, {"port", address.port()}, {"transport", address.transport()}};
}

Json ToJson(const wire::PeerTransport& peer) {
  return {{"peer", peer.peer()},           {"server", peer.server_id()},
          {"transport", peer.transport()}, {"connections", peer.connections()},
          {"slow", peer.slow()},           {"reason", peer.reason()}};
}

Json ToJson(const wire::ServerInfo& info) {
  const wire::MapServer& server = info.server();
  return {{"server", server.server_id()},
          {"hostname", server.hostname()},
          {"addresses", ToJsonList(server.addresses())},
          {"state", StateName(server.state())},
          {"rack", server.rack()},
          {"version", server.version()},
          {"targets", info.targets()},
          {"capacity_bytes", info.capacity_bytes()},
          {"free_bytes", info.free_bytes()},
          {"last_heartbeat_ms", info.last_heartbeat_ms()}};
}

Json ToJson(const wire::TargetInfo& info) {
  return {{"target", info.target().target_id()},
          {"server", info.target().server_id()},
          {"hostname", info.hostname()},
          {"path", info.target().path()},
          {"state", StateName(info.target().state())},
          {"service", ServiceOf(info)},
          {"draining", info.draining()},
          {"drain_onto", info.drain_onto()},
          {"drain_groups", info.drain_groups()},
          {"drain_stuck", info.drain_stuck()},
          {"awaited_by", info.awaited_by()},
          {"capacity_bytes", info.capacity_bytes()},
          {"free_bytes", info.free_bytes()},
          {"stored_bytes", info.stored_bytes()},
          {"chunks", info.chunks()},
          {"groups", info.groups()},
          {"groups_head", info.groups_head()},
          {"groups_syncing", info.groups_syncing()},
          {"sync_chunks_done", info.sync_chunks_done()},
          {"sync_bytes_fetched", info.sync_bytes_fetched()},
          {"io_errors", info.io_errors()},
          {"checksum_errors", info.checksum_errors()},
          {"damaged_chunks", info.damaged_chunks()},
          {"repaired_chunks", info.repaired_chunks()},
          {"lost_chunks", info.lost_chunks()},
          {"problem", info.problem()}};
}

Json ToJson(const wire::ClientInfo& info) {
  return {{"session", absl::StrFormat("%016x", info.session_id())},
          {"hostname", info.hostname()},
          {"address", info.address()},
          {"mountpoint", info.mountpoint()},
          {"pid", info.pid()},
          {"version", info.version()},
          {"connected_s", info.connected_s()},
          {"last_heartbeat_ms", info.last_heartbeat_ms()},
          {"open_files", info.open_files()},
          {"open_files_write", info.open_files_write()},
          {"stale", info.stale()},
          {"leases", info.leases()},
          {"events_unanswered", info.events_unanswered()},
          {"locks", info.locks()},
          {"locks_waiting", info.locks_waiting()},
          {"transports", ToJsonList(info.transports())}};
}

Json ToJson(const wire::GroupInfo& info) {
  Json members = Json::array();
  for (const wire::MapMember& member : info.group().members()) {
    members.push_back({{"target", member.target_id()}, {"state", StateName(member.state())}});
  }
  return {{"storage_class", info.group().storage_class()},
          {"group", info.group().number()},
          {"epoch", info.group().epoch()},
          {"state", info.state()},
          {"members", std::move(members)}};
}

Json ToJson(const wire::SettingInfo& info) {
  return {{"name", info.name()},     {"value", info.value()}, {"default", info.default_value()},
          {"is_set", info.is_set()}, {"kind", info.kind()},   {"allowed", info.allowed()},
          {"help", info.help()}};
}

Json ToJson(const wire::ClusterEvent& event) {
  return {{"number", event.number()},
          {"time", absl::FormatTime(absl::RFC3339_full, absl::FromUnixMicros(event.time_us()),
                                    absl::UTCTimeZone())},
          {"severity", event.severity()},
          {"kind", event.kind()},
          {"text", event.text()}};
}

Json ToJson(const wire::RepairInfo& info) {
  return {{"groups_below_goal", info.below_goal()}, {"groups_with_one_copy", info.one_copy()},
          {"groups_syncing", info.syncing()},       {"groups_reconciling", info.reconciling()},
          {"groups_waiting", info.missing()},       {"groups_moving", info.moving()}};
}

namespace {

Json ProblemsOf(const wire::StatusResponse& status) {
  Json problems = Json::array();
  for (const std::string& problem : status.problems()) problems.push_back(problem);
  return problems;
}

}  // namespace

Json RepairJson(const wire::StatusResponse& status) {
  Json targets = Json::array();
  for (const wire::TargetInfo& info : status.targets()) {
    if (info.groups_syncing() > 0) targets.push_back(ToJson(info));
  }
  Json repair = ToJson(status.repair());
  repair["targets"] = std::move(targets);
  repair["problems"] = ProblemsOf(status);
  return repair;
}

Json ToJson(const wire::StatusResponse& status) {
  Json groups = Json::object();
  for (const wire::GroupsByState& state : status.groups()) groups[state.state()] = state.groups();
  Json classes = Json::array();
  for (const wire::MapStorageClass& c : status.classes()) {
    classes.push_back({{"storage_class", c.storage_class()},
                       {"name", c.name()},
                       {"replication", c.replication()},
                       {"groups", c.group_count()}});
  }
  return {{"cluster_id", status.cluster_id()},
          {"metaserver",
           {{"address", status.metaserver_address()},
            {"version", status.metaserver_version()},
            {"uptime_s", status.uptime_s()},
            {"read_only", status.read_only()},
            {"restored", status.restored()},
            {"map_version", status.map_version()},
            {"log_index", status.log_index()},
            {"inodes", status.inodes()},
            {"orphans", status.orphans()},
            {"contents_to_delete", status.contents_to_delete()}}},
          {"storage_classes", std::move(classes)},
          {"groups", std::move(groups)},
          {"capacity_bytes", status.capacity_bytes()},
          {"free_bytes", status.free_bytes()},
          {"servers", ToJsonList(status.servers())},
          {"targets", ToJsonList(status.targets())},
          {"clients", ToJsonList(status.clients())},
          {"repair", ToJson(status.repair())},
          {"rebalance", ToJson(status.rebalance())},
          {"problems", ProblemsOf(status)}};
}

void PrintJson(const Json& json) {
  const std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace);
  std::printf("%s\n", text.c_str());
}

}  // namespace penstock::cli

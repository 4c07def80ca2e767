// The admin answers as JSON (numbers as numbers, sizes in bytes, ages in milliseconds) and as
// tables.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "proto/admin.pb.h"

namespace penstock::cli {

using Json = nlohmann::ordered_json;

// Lower case without the enum's prefix: "online", "in_sync".
std::string StateName(wire::ServerState state);
std::string StateName(wire::TargetState state);
std::string StateName(wire::MemberState state);

Json ToJson(const wire::Address& address);
Json ToJson(const wire::PeerTransport& peer);
Json ToJson(const wire::RepairInfo& repair);
Json ToJson(const wire::ServerInfo& server);
Json ToJson(const wire::TargetInfo& target);
Json ToJson(const wire::ClientInfo& client);
Json ToJson(const wire::GroupInfo& group);
Json ToJson(const wire::SettingInfo& setting);
Json ToJson(const wire::ClusterEvent& event);
Json ToJson(const wire::StatusResponse& status);

// "in service", "draining 40 %", "drained", "syncing", "away", "away, draining", "away, drained",
// "absent", "failed".
std::string ServiceOf(const wire::TargetInfo& target);
Json ToJson(const wire::MoveShare& share);
Json ToJson(const wire::RebalanceInfo& rebalance);
std::string RebalanceText(const wire::RebalanceInfo& rebalance);
// "  12 groups, about 3.0 MiB, from target 1 to 4", a line each.
std::string SharesText(const google::protobuf::RepeatedPtrField<wire::MoveShare>& shares);

Json RepairJson(const wire::StatusResponse& status);  // for `repair status`

Json ScrubStatusJson(const wire::ListScrubsResponse& scrubs);
Json ScrubReportJson(const wire::ListScrubsResponse& scrubs);
std::string ScrubStatusText(const wire::ListScrubsResponse& scrubs);
std::string ScrubReportText(const wire::ListScrubsResponse& scrubs);

template <typename Repeated>
Json ToJsonList(const Repeated& items) {
  Json list = Json::array();
  for (const auto& item : items) list.push_back(ToJson(item));
  return list;
}

std::string StatusText(const wire::StatusResponse& status);
std::string RepairText(const wire::StatusResponse& status);
std::string TargetTable(const wire::ListTargetsResponse& targets);
std::string ServerTable(const wire::StatusResponse& status);
std::string GroupTable(const wire::ListGroupsResponse& groups);
// One group, with what `status` knows of its members' targets.
std::string GroupText(const wire::GroupInfo& group, const wire::StatusResponse& status);
Json GroupJson(const wire::GroupInfo& group, const wire::StatusResponse& status);
std::string SettingTable(const wire::ListSettingsResponse& settings);
std::string EventLine(const wire::ClusterEvent& event);  // with a newline
std::string ClientTable(const wire::ListClientsResponse& clients);

// Prints with a newline; text that is not UTF-8 is mended.
void PrintJson(const Json& json);

}  // namespace penstock::cli

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

Json ToJson(const wire::ServerInfo& server);
Json ToJson(const wire::TargetInfo& target);
Json ToJson(const wire::ClientInfo& client);
Json ToJson(const wire::GroupInfo& group);
Json ToJson(const wire::StatusResponse& status);

// "in service", "draining 40 %", "drained", "syncing", "away", "absent", "failed".
std::string ServiceOf(const wire::TargetInfo& target);
Json ToJson(const wire::MoveShare& share);
Json ToJson(const wire::RebalanceInfo& rebalance);
std::string RebalanceText(const wire::RebalanceInfo& rebalance);
// "  12 groups, about 3.0 MiB, from target 1 to 4", a line each.
std::string SharesText(const google::protobuf::RepeatedPtrField<wire::MoveShare>& shares);

Json RepairJson(const wire::StatusResponse& status);  // for `repair status`

template <typename Repeated>
Json ToJsonList(const Repeated& items) {
  Json list = Json::array();
  for (const auto& item : items) list.push_back(ToJson(item));
  return list;
}

std::string StatusText(const wire::StatusResponse& status);
std::string RepairText(const wire::StatusResponse& status);
std::string TargetTable(const wire::ListTargetsResponse& targets);
std::string GroupTable(const wire::ListGroupsResponse& groups);
std::string ClientTable(const wire::ListClientsResponse& clients);

// Prints with a newline; text that is not UTF-8 is mended.
void PrintJson(const Json& json);

}  // namespace penstock::cli

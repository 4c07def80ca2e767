// What is no plain listing, for people.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>

#include <algorithm>

#include "cli/human.h"
#include "cli/listing.h"
#include "cli/table.h"

namespace penstock::cli {
namespace {

const wire::TargetInfo* FindTarget(const wire::StatusResponse& status, uint32_t id) {
  for (const wire::TargetInfo& info : status.targets()) {
    if (info.target().target_id() == id) return &info;
  }
  return nullptr;
}

std::string Place(const wire::GroupInfo& info, int index) {
  const int members = info.group().members_size();
  if (members == 1) return "head, tail";
  return index == 0 ? "head" : index == members - 1 ? "tail" : "-";
}

// A syncing member shows how far its target is: groups are gone through one after the other.
std::string Progress(const wire::MapMember& member, const wire::TargetInfo* target) {
  if (member.state() == wire::MEMBER_IN_SYNC || target == nullptr) return "-";
  return absl::StrCat(Counted(target->groups_syncing(), "group"), " of it left, ",
                      Counted(target->sync_chunks_done(), "chunk"), " compared, ",
                      HumanBytes(target->sync_bytes_fetched()), " fetched");
}

std::string Targets(const google::protobuf::RepeatedField<uint32_t>& targets) {
  return targets.empty() ? "-" : absl::StrJoin(targets, ", ");
}

}  // namespace

std::string GroupText(const wire::GroupInfo& info, const wire::StatusResponse& status) {
  std::string text;
  auto line = [&](absl::string_view name, const std::string& value) {
    absl::StrAppend(&text, absl::StrFormat("%-12s %s\n", name, value));
  };
  const wire::MapGroup& group = info.group();
  line("group", absl::StrCat(group.storage_class(), "/", group.number()));
  line("state", info.state());
  line("copies",
       absl::StrCat(
           group.members_size(), " of ", info.replication(),
           info.below_goal_ms() == 0
               ? ""
               : absl::StrCat(", too few for ", HumanDuration(absl::Milliseconds(
                                                    static_cast<int64_t>(info.below_goal_ms()))))));
  line("epoch", absl::StrCat(group.epoch(), info.confirmed_epoch() == group.epoch()
                                                ? ""
                                                : ", which no member in sync has taken yet"));
  if (group.reconciling() > 0) {
    line("reconciling", absl::StrCat(Counted(group.reconciling(), "member"),
                                     ", all rebooted, compare what they have"));
  }
  line("needed",
       absl::StrCat("targets ", Targets(info.basis()), " together hold everything acknowledged"));
  if (!info.former().empty()) {
    line("former",
         absl::StrCat("targets ", Targets(info.former()), " have old chunks of it to drop"));
  }
  Table table(
      {"PLACE", ">TARGET", ">SERVER", "HOST", "TARGET IS", "COPY IS", "CATCHING UP", "PATH"});
  for (int i = 0; i < group.members_size(); ++i) {
    const wire::MapMember& member = group.members(i);
    const wire::TargetInfo* target = FindTarget(status, member.target_id());
    if (target == nullptr) {
      table.Add({Place(info, i), absl::StrCat(member.target_id()), "-", "-", "-",
                 StateName(member.state())});
      continue;
    }
    table.Add({Place(info, i), absl::StrCat(member.target_id()),
               absl::StrCat(target->target().server_id()), target->hostname(),
               StateName(target->target().state()), StateName(member.state()),
               Progress(member, target), target->target().path()});
  }
  return absl::StrCat(text, "\n", table.Render());
}

Json GroupJson(const wire::GroupInfo& info, const wire::StatusResponse& status) {
  Json json = ToJson(info);
  json["replication"] = info.replication();
  json["confirmed_epoch"] = info.confirmed_epoch();
  json["below_goal_ms"] = info.below_goal_ms();
  json["reconciling"] = info.group().reconciling();
  json["basis"] = std::vector<uint32_t>(info.basis().begin(), info.basis().end());
  json["former"] = std::vector<uint32_t>(info.former().begin(), info.former().end());
  for (Json& member : json["members"]) {
    const wire::TargetInfo* target = FindTarget(status, member["target"].get<uint32_t>());
    if (target != nullptr) member["on"] = ToJson(*target);
  }
  return json;
}

std::string SettingTable(const wire::ListSettingsResponse& settings) {
  Table table({"SETTING", "VALUE", "SET", "DEFAULT", "ALLOWED", "WHAT"});
  for (const wire::SettingInfo& info : settings.settings()) {
    table.Add({info.name(), info.value(), info.is_set() ? "yes" : "-", info.default_value(),
               info.allowed(), info.help()});
  }
  return table.Render();
}

std::string EventLine(const wire::ClusterEvent& event) {
  std::string text = event.text();
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';  // names of clients are in it
  }
  return absl::StrFormat(
      "%s  %-7s  %-18s  %s\n",
      absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixMicros(event.time_us()),
                       absl::LocalTimeZone()),
      event.severity(), event.kind(), text);
}

}  // namespace penstock::cli

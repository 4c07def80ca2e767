#include "cli/listing.h"

#include <catch2/catch.hpp>

#include "cli/human.h"
#include "cli/table.h"

namespace penstock::cli {
namespace {

wire::StatusResponse Example() {
  wire::StatusResponse status;
  status.set_cluster_id("c-1");
  status.set_metaserver_address("127.0.0.1:7400");
  status.set_uptime_s(75);
  wire::ServerInfo* server = status.add_servers();
  server->mutable_server()->set_server_id(1);
  server->mutable_server()->set_state(wire::SERVER_ONLINE);
  wire::Address* address = server->mutable_server()->add_addresses();
  address->set_host("127.0.0.1");
  address->set_port(7411);
  address->set_transport("tcp");
  wire::TargetInfo* target = status.add_targets();
  target->mutable_target()->set_target_id(4);
  target->mutable_target()->set_state(wire::TARGET_ABSENT);
  target->mutable_target()->set_path("/d/t1");
  target->set_capacity_bytes(uint64_t{1} << 62);
  wire::GroupsByState* groups = status.add_groups();
  groups->set_state("healthy");
  groups->set_groups(1024);
  status.add_problems("target 4 is absent: bring its disk back");
  return status;
}

}  // namespace

TEST_CASE("a table lines up its columns and leaves no trailing spaces", "[cli][table]") {
  Table table({"NAME", ">SIZE", "STATE"});
  table.Add({"a", "1", "x"});
  table.Add({"größe", "1000"});
  REQUIRE(table.Render() ==
          "NAME   SIZE  STATE\n"
          "a         1  x\n"
          "größe  1000\n");
}

TEST_CASE("sizes and times are written for people", "[cli][table]") {
  REQUIRE(HumanBytes(0) == "0 B");
  REQUIRE(HumanBytes(1023) == "1023 B");
  REQUIRE(HumanBytes(1536) == "1.5 KiB");
  REQUIRE(HumanBytes((uint64_t{1} << 20) - 1) == "1.0 MiB");
  REQUIRE(HumanBytes(~uint64_t{0}) == "16.0 EiB");
  REQUIRE(HumanDuration(absl::Milliseconds(300)) == "0.3 s");
  REQUIRE(HumanDuration(absl::Seconds(75)) == "1 m 15 s");
  REQUIRE(HumanDuration(absl::Hours(49)) == "2 d 1 h");
  REQUIRE(Counted(1, "chunk") == "1 chunk");
  REQUIRE(Counted(2, "chunk") == "2 chunks");
}

TEST_CASE("a status as JSON has numbers as numbers and states by name", "[cli][json]") {
  const Json json = ToJson(Example());
  REQUIRE(json["cluster_id"] == "c-1");
  REQUIRE(json["metaserver"]["uptime_s"] == 75);
  REQUIRE(json["servers"][0]["state"] == "online");
  REQUIRE(json["servers"][0]["addresses"][0]["port"] == 7411);
  REQUIRE(json["targets"][0]["state"] == "absent");
  REQUIRE(json["targets"][0]["capacity_bytes"] == uint64_t{1} << 62);
  REQUIRE(json["groups"]["healthy"] == 1024);
  REQUIRE(json["clients"].is_array());
  REQUIRE(json["problems"].size() == 1);
}

TEST_CASE("a status as text names servers, groups and problems", "[cli][table]") {
  const std::string text = StatusText(Example());
  REQUIRE_THAT(text, Catch::Contains("127.0.0.1:7411 (tcp)") && Catch::Contains("1024 healthy") &&
                         Catch::Contains("PROBLEM  target 4") && Catch::Contains("no clients"));
}

TEST_CASE("a repair is told with what is left of it", "[cli][table]") {
  wire::StatusResponse status = Example();
  REQUIRE(RepairText(status).find("nothing to repair") == 0);
  REQUIRE(RepairJson(status)["groups_below_goal"] == 0);
  status.mutable_repair()->set_below_goal(12);
  status.mutable_repair()->set_one_copy(3);
  status.mutable_repair()->set_syncing(5);
  status.mutable_targets(0)->set_groups_syncing(5);
  status.mutable_targets(0)->set_sync_bytes_fetched(uint64_t{3} << 30);
  const std::string text = RepairText(status);
  REQUIRE(text.find("12 groups below the goal, 3 with one copy left, 5 catching up") == 0);
  REQUIRE(text.find("3.0 GiB") != std::string::npos);
  REQUIRE(text.find("PROBLEM  target 4") != std::string::npos);
  REQUIRE(RepairJson(status)["targets"][0]["groups_syncing"] == 5);
  REQUIRE(StatusText(status).find("12 groups below the goal") != std::string::npos);
}

TEST_CASE("a group is shown with its members' places and progress", "[cli][table]") {
  wire::StatusResponse status = Example();
  status.mutable_targets(0)->set_groups_syncing(7);
  status.mutable_targets(0)->set_sync_chunks_done(31);
  wire::GroupInfo info;
  info.mutable_group()->set_storage_class(1);
  info.mutable_group()->set_number(17);
  info.mutable_group()->set_epoch(9);
  info.set_confirmed_epoch(8);
  info.set_state("degraded");
  info.set_replication(2);
  info.set_below_goal_ms(75000);
  info.add_basis(3);
  wire::MapMember* head = info.mutable_group()->add_members();
  head->set_target_id(3);  // not in the status
  head->set_state(wire::MEMBER_IN_SYNC);
  wire::MapMember* tail = info.mutable_group()->add_members();
  tail->set_target_id(4);
  tail->set_state(wire::MEMBER_SYNCING);
  const std::string text = GroupText(info, status);
  REQUIRE_THAT(text, Catch::Contains("1/17") && Catch::Contains("2 of 2, too few for 1 m 15 s") &&
                         Catch::Contains("9, which no member in sync has taken yet") &&
                         Catch::Contains("7 groups of it left, 31 chunks compared") &&
                         Catch::Contains("head") && Catch::Contains("tail"));
  const Json json = GroupJson(info, status);
  REQUIRE(json["members"][1]["on"]["path"] == "/d/t1");
  REQUIRE(!json["members"][0].contains("on"));
  REQUIRE(json["basis"] == Json({3}));
  REQUIRE(ServerTable(status).find("127.0.0.1:7411 (tcp)") != std::string::npos);
}

TEST_CASE("settings and events are told in lines", "[cli][table]") {
  wire::ListSettingsResponse settings;
  wire::SettingInfo* info = settings.add_settings();
  info->set_name("repair.after");
  info->set_value("30m");
  info->set_is_set(true);
  info->set_default_value("10m");
  REQUIRE_THAT(SettingTable(settings), Catch::Contains("repair.after  30m    yes  10m"));
  REQUIRE(ToJson(*info)["is_set"] == true);
  wire::ClusterEvent event;
  event.set_number(3);
  event.set_time_us(1'700'000'000'000'000);
  event.set_severity("warning");
  event.set_kind("client.stale");
  event.set_text("client 1 (\x1b[31mnode:/m\n)");
  REQUIRE_THAT(EventLine(event), Catch::Contains("  warning  client.stale        client 1 "
                                                 "(?[31mnode:/m?)\n"));
  REQUIRE(ToJson(event)["time"] == "2023-11-14T22:13:20+00:00");
}

TEST_CASE("a scrub tells how far it is and what became of what it found", "[cli][listing]") {
  wire::ListScrubsResponse scrubs;
  wire::TargetScrub* scrub = scrubs.add_targets();
  scrub->set_target_id(4);
  scrub->set_path("/d/t1");
  scrub->set_ordered(9);
  REQUIRE(ScrubStatusText(scrubs).find("ordered") != std::string::npos);
  REQUIRE(ScrubStatusJson(scrubs)[0]["running"] == true);
  REQUIRE(ScrubStatusText(scrubs).find("never") != std::string::npos);
  wire::ScrubProgress* progress = scrub->mutable_progress();
  progress->set_order(9);
  progress->set_found(3);
  progress->set_repaired(1);
  progress->set_lost(1);
  wire::ScrubFinding* chunk = progress->add_findings();
  chunk->set_content_id(0x1234);
  chunk->set_index(7);
  chunk->set_outcome(wire::SCRUB_LOST);
  chunk->set_what("bad bytes");
  progress->add_findings()->set_what("the index: bad");
  const std::string text = ScrubReportText(scrubs);
  REQUIRE(text.find("3 found, 1 repaired or gone, 1 with no good copy") != std::string::npos);
  REQUIRE(text.find("0000000000001234.7") != std::string::npos);
  REQUIRE(text.find("lost") != std::string::npos);
  const Json json = ScrubReportJson(scrubs)[0];
  REQUIRE(json["findings"][0]["content"] == "0000000000001234");
  REQUIRE(json["findings"][0]["outcome"] == "lost");
  REQUIRE(!json["findings"][1].contains("content"));
  REQUIRE(ScrubStatusText(scrubs).find("idle") != std::string::npos);
}

TEST_CASE("a target's state says whether it serves, drains or is away", "[cli][listing]") {
  wire::TargetInfo target;
  target.mutable_target()->set_state(wire::TARGET_ONLINE);
  target.set_groups(90);
  REQUIRE(ServiceOf(target) == "in service");
  target.set_groups_syncing(2);
  REQUIRE(ServiceOf(target) == "syncing");
  target.set_draining(true);
  target.set_drain_groups(120);
  REQUIRE(ServiceOf(target) == "draining 25 %");
  target.set_groups(0);
  REQUIRE(ServiceOf(target) == "drained");
  target.set_awaited_by(30);  // it left them, and nobody has taken its place
  REQUIRE(ServiceOf(target) == "draining 75 %");
  target.mutable_target()->set_state(wire::TARGET_OFFLINE);
  REQUIRE(ServiceOf(target) == "away, draining");
  target.set_awaited_by(0);
  REQUIRE(ServiceOf(target) == "away, drained");
  target.mutable_target()->set_state(wire::TARGET_ABSENT);
  REQUIRE(ServiceOf(target) == "absent");
}

TEST_CASE("a rebalance says what it does, what it waits for and why it ended", "[cli][listing]") {
  wire::RebalanceInfo info;
  REQUIRE(RebalanceText(info).find("not running\n") == 0);
  info.set_unbalanced(true);
  info.set_used_most_permille(805);
  REQUIRE(RebalanceText(info).find("0.0 % to 80.5 % used, `penstock rebalance start`") !=
          std::string::npos);
  info.set_running(true);
  info.set_waits_for("target 3 is away");
  REQUIRE(RebalanceText(info).find("it waits: target 3 is away\n") != std::string::npos);
  REQUIRE(ToJson(info)["used_most_percent"] == 80.5);
  wire::StartRebalanceResponse response;
  wire::MoveShare* move = response.add_moves();
  move->set_from(1);
  move->set_to(4);
  move->set_groups(2);
  move->set_bytes(2048);
  REQUIRE(SharesText(response.moves()) == "  2 groups, about 2.0 KiB, from target 1 to 4\n");
}

}  // namespace penstock::cli

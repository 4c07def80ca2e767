#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>

#include "cli/human.h"
#include "cli/listing.h"
#include "cli/table.h"

namespace penstock::cli {
namespace {

std::string AddressText(const wire::MapServer& server) {
  std::vector<std::string> texts;
  for (const wire::Address& a : server.addresses()) {
    texts.push_back(absl::StrCat(a.host(), ":", a.port(), " (", a.transport(), ")"));
  }
  return absl::StrJoin(texts, ", ");
}

std::string Age(uint64_t ms) { return HumanDuration(absl::Milliseconds(static_cast<int64_t>(ms))); }

uint64_t Used(uint64_t capacity, uint64_t free) { return capacity > free ? capacity - free : 0; }

template <typename Targets>
std::string TargetRows(const Targets& targets) {
  Table table({">TARGET", ">SERVER", "STATE", ">STORED", ">FREE", ">CAPACITY", ">USED", ">CHUNKS",
               ">GROUPS", ">HEADS", "PATH", "PROBLEM"});
  for (const wire::TargetInfo& info : targets) {
    std::string problem = info.problem();
    if (problem.empty() && info.checksum_errors() + info.io_errors() > 0) {
      problem = absl::StrCat(Counted(info.io_errors(), "I/O error"), ", ",
                             Counted(info.checksum_errors(), "checksum error"));
    }
    table.Add({absl::StrCat(info.target().target_id()), absl::StrCat(info.target().server_id()),
               ServiceOf(info), HumanBytes(info.stored_bytes()), HumanBytes(info.free_bytes()),
               HumanBytes(info.capacity_bytes()),
               Percent(Used(info.capacity_bytes(), info.free_bytes()), info.capacity_bytes()),
               absl::StrCat(info.chunks()), absl::StrCat(info.groups()),
               absl::StrCat(info.groups_head()), info.target().path(), problem});
  }
  return table.Render();
}

template <typename Clients>
std::string ClientRows(const Clients& clients) {
  Table table({"CLIENT", "HOST", "ADDRESS", "MOUNTPOINT", ">PID", "CONNECTED", "HEARTBEAT", ">OPEN",
               ">WRITING", ">LEASES", ">LOCKS", "TRANSPORT", "VERSION"});
  for (const wire::ClientInfo& info : clients) {
    std::vector<std::string> transports;
    for (const wire::PeerTransport& peer : info.transports()) {
      transports.push_back(absl::StrCat(peer.peer(), " ", peer.transport(), " x",
                                        peer.connections(), peer.reason().empty() ? "" : " (",
                                        peer.reason(), peer.reason().empty() ? "" : ")",
                                        peer.slow() ? " slow" : ""));
    }
    table.Add({absl::StrFormat("%x", info.session_id()), info.hostname(), info.address(),
               info.mountpoint(), absl::StrCat(info.pid()),
               HumanDuration(absl::Seconds(static_cast<int64_t>(info.connected_s()))),
               absl::StrCat(Age(info.last_heartbeat_ms()), info.stale() ? " ago, stale" : " ago"),
               absl::StrCat(info.open_files()), absl::StrCat(info.open_files_write()),
               absl::StrCat(info.leases()), absl::StrCat(info.locks()),
               transports.empty() ? "-" : absl::StrJoin(transports, ", "), info.version()});
  }
  return table.Render();
}

template <typename Servers>
std::string ServerRows(const Servers& servers) {
  Table table({">SERVER", "HOST", "ADDRESS", "STATE", ">TARGETS", ">FREE", ">CAPACITY", "HEARTBEAT",
               "RACK", "VERSION"});
  for (const wire::ServerInfo& info : servers) {
    const wire::MapServer& server = info.server();
    table.Add({absl::StrCat(server.server_id()), server.hostname(), AddressText(server),
               StateName(server.state()), absl::StrCat(info.targets()),
               HumanBytes(info.free_bytes()), HumanBytes(info.capacity_bytes()),
               absl::StrCat(Age(info.last_heartbeat_ms()), " ago"),
               server.rack().empty() ? "-" : server.rack(), server.version()});
  }
  return table.Render();
}

std::string RepairLine(const wire::RepairInfo& info) {
  std::string text = absl::StrCat(Counted(info.below_goal(), "group"), " below the goal");
  auto add = [&](uint32_t count, absl::string_view what) {
    if (count > 0) absl::StrAppend(&text, ", ", count, " ", what);
  };
  add(info.one_copy(), "with one copy left");
  add(info.syncing(), "catching up");
  add(info.reconciling(), "reconciling after a reboot");
  add(info.missing(), "waiting for a target");
  return text;
}

std::string Summary(const wire::StatusResponse& status) {
  uint64_t stored = 0;
  for (const wire::TargetInfo& target : status.targets()) {
    stored += target.stored_bytes();
  }
  std::vector<std::string> groups;
  for (const wire::GroupsByState& g : status.groups()) {
    groups.push_back(absl::StrCat(g.groups(), " ", g.state()));
  }
  std::vector<std::string> classes;
  for (const wire::MapStorageClass& c : status.classes()) {
    classes.push_back(absl::StrCat(c.name(), " (", c.replication(),
                                   c.replication() == 1 ? " copy)" : " copies)"));
  }
  std::string text;
  auto line = [&](absl::string_view name, const std::string& value) {
    absl::StrAppend(&text, absl::StrFormat("%-12s %s\n", name, value));
  };
  line("cluster", status.cluster_id());
  line("metaserver",
       absl::StrCat(status.metaserver_address(), ", version ", status.metaserver_version(), ", up ",
                    HumanDuration(absl::Seconds(static_cast<int64_t>(status.uptime_s()))),
                    ", map version ", status.map_version()));
  line("space", absl::StrCat(HumanBytes(stored), " stored, ", HumanBytes(status.free_bytes()),
                             " free of ", HumanBytes(status.capacity_bytes())));
  line("groups", groups.empty() ? "not formed yet: too few targets have registered"
                                : absl::StrJoin(groups, ", "));
  if (status.repair().below_goal() + status.repair().syncing() > 0) {
    line("repair", RepairLine(status.repair()));
  }
  if (status.rebalance().running() || status.repair().moving() > 0) {
    line("moving", absl::StrCat(Counted(status.repair().moving(), "group"), " on the way",
                                status.rebalance().running() ? ", rebalancing" : ""));
  }
  line("classes", classes.empty() ? "-" : absl::StrJoin(classes, ", "));
  line("files",
       absl::StrCat(Counted(status.inodes(), "inode"), ", ", Counted(status.orphans(), "orphan"),
                    ", ", Counted(status.contents_to_delete(), "content"), " to delete"));
  return text;
}

}  // namespace

std::string StatusText(const wire::StatusResponse& status) {
  std::string text = Summary(status);
  if (status.servers().empty()) {
    absl::StrAppend(&text, "\nno chunkservers have registered yet\n\n");
  } else {
    absl::StrAppend(&text, "\n", ServerRows(status.servers()), "\n", TargetRows(status.targets()),
                    "\n");
  }
  if (status.clients().empty()) {
    absl::StrAppend(&text, "no clients: `penstock mount ", status.metaserver_address(),
                    " MOUNTPOINT` makes one\n");
  } else {
    absl::StrAppend(&text, ClientRows(status.clients()));
  }
  if (!status.problems().empty()) absl::StrAppend(&text, "\n");
  for (const std::string& problem : status.problems()) {
    absl::StrAppend(&text, "PROBLEM  ", problem, "\n");
  }
  return text;
}

std::string RepairText(const wire::StatusResponse& status) {
  if (status.repair().below_goal() + status.repair().syncing() == 0) {
    return "nothing to repair: every group has all its copies in sync\n";
  }
  std::string text = absl::StrCat(RepairLine(status.repair()), "\n");
  Table table({">TARGET", ">SERVER", "HOST", "STATE", ">GROUPS LEFT", ">CHUNKS COMPARED",
               ">FETCHED", "PATH"});
  bool any = false;
  for (const wire::TargetInfo& info : status.targets()) {
    if (info.groups_syncing() == 0) continue;
    any = true;
    table.Add({absl::StrCat(info.target().target_id()), absl::StrCat(info.target().server_id()),
               info.hostname(), StateName(info.target().state()),
               absl::StrCat(info.groups_syncing()), absl::StrCat(info.sync_chunks_done()),
               HumanBytes(info.sync_bytes_fetched()), info.target().path()});
  }
  if (any) absl::StrAppend(&text, "\n", table.Render());
  if (!status.problems().empty()) absl::StrAppend(&text, "\n");
  for (const std::string& problem : status.problems()) {
    absl::StrAppend(&text, "PROBLEM  ", problem, "\n");
  }
  return text;
}

std::string TargetTable(const wire::ListTargetsResponse& targets) {
  return TargetRows(targets.targets());
}

std::string ClientTable(const wire::ListClientsResponse& clients) {
  return ClientRows(clients.clients());
}

std::string GroupTable(const wire::ListGroupsResponse& groups) {
  Table table({">CLASS", ">GROUP", ">EPOCH", "STATE", "TARGETS, HEAD TO TAIL"});
  for (const wire::GroupInfo& info : groups.groups()) {
    std::vector<std::string> members;
    for (const wire::MapMember& member : info.group().members()) {
      members.push_back(
          member.state() == wire::MEMBER_IN_SYNC
              ? absl::StrCat(member.target_id())
              : absl::StrCat(member.target_id(), " (", StateName(member.state()), ")"));
    }
    table.Add({absl::StrCat(info.group().storage_class()), absl::StrCat(info.group().number()),
               absl::StrCat(info.group().epoch()), info.state(), absl::StrJoin(members, " > ")});
  }
  return table.Render();
}

std::string ServerTable(const wire::StatusResponse& status) { return ServerRows(status.servers()); }

}  // namespace penstock::cli

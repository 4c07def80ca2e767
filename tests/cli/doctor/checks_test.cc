#include <absl/strings/str_cat.h>

#include <catch2/catch.hpp>

#include "cli/doctor/cluster_checks.h"
#include "cli/doctor/node_checks.h"
#include "tests/cli/doctor/fake_machine.h"

namespace penstock::cli {
namespace {

using Catch::Contains;
using Level = Finding::Level;

// All that is not ok: "level check text -> fix".
std::string Bad(const Findings& findings) {
  std::string text;
  for (const Finding& f : findings) {
    if (f.level == Level::kOk) continue;
    REQUIRE(!f.fix.empty());
    absl::StrAppend(&text, f.level == Level::kProblem ? "problem " : "warning ", f.check, " ",
                    f.text, " -> ", f.fix, "\n");
  }
  return text;
}

bool IsOk(const Findings& findings, const std::string& check) {
  bool any = false;
  for (const Finding& f : findings) {
    if (f.check != check) continue;
    any = true;
    if (f.level != Level::kOk) return false;
  }
  return any;
}

// One server on this machine with one target, a certificate, everything well.
struct Well {
  Well() {
    machine.directories["/d/t1"] = {"ext4", kTiB, kTiB / 2, 7, false};
    machine.interfaces["10.0.0.2"] = {"eth0", 9000};
    machine.certificates.emplace("/keys/ca.crt", machine.now + absl::Hours(24 * 365));
    status.set_metaserver_version("1.0");
    status.set_now_us(absl::ToUnixMicros(machine.now));
    wire::ServerInfo* server = status.add_servers();
    server->mutable_server()->set_server_id(1);
    server->mutable_server()->set_hostname("node1");
    server->mutable_server()->set_version("1.0");
    server->mutable_server()->add_addresses()->set_host("10.0.0.2");
    AddTarget(1, "/d/t1", "node1");
    wire::MapStorageClass* c = status.add_classes();
    c->set_name("default");
    c->set_replication(2);
  }
  void AddTarget(uint32_t id, const std::string& path, const std::string& host) {
    wire::TargetInfo* target = status.add_targets();
    target->mutable_target()->set_target_id(id);
    target->mutable_target()->set_path(path);
    target->set_hostname(host);
  }
  Findings Check() {
    ClusterFacts facts;
    facts.name = "/c";
    facts.keys_directory = "/keys";
    facts.status = status;
    facts.asked = machine.now - absl::Milliseconds(5);
    facts.answered = machine.now + absl::Milliseconds(5);
    facts.own_version = "1.0";
    facts.own_ports = own_ports;
    return CheckCluster(machine, facts);
  }
  FakeMachine machine;
  wire::StatusResponse status;
  std::vector<std::pair<std::string, uint16_t>> own_ports;
};

}  // namespace

TEST_CASE("a machine that is fit has no warnings", "[cli][doctor]") {
  FakeMachine machine;
  REQUIRE(Bad(CheckNode(machine)) == "");
  REQUIRE(IsOk(CheckNode(machine), "rdma"));
  REQUIRE(Bad(CheckDefaultPorts(machine)) == "");
}

TEST_CASE("each shortcoming of a machine is named with its fix", "[cli][doctor]") {
  FakeMachine machine;
  machine.kernel = "5.4.0-42-generic";
  REQUIRE_THAT(Bad(CheckNode(machine)), Contains("warning kernel Linux 5.4.0-42-generic is older"));
  machine.kernel = "6.1.0-18-amd64";
  REQUIRE(IsOk(CheckNode(machine), "kernel"));
  machine.fuse = absl::NotFoundError("/dev/fuse: No such file or directory");
  machine.programs.clear();
  REQUIRE_THAT(Bad(CheckNode(machine)), Contains("warning fuse nothing can be mounted here: "
                                                 "/dev/fuse: No such file") &&
                                            Contains("modprobe fuse"));
  REQUIRE(IsOk(CheckNode(machine), "fusermount3"));  // root
  machine.root = false;
  REQUIRE_THAT(Bad(CheckNode(machine)), Contains("warning fusermount3"));
  machine.open_files = {1024, 1 << 20};
  REQUIRE_THAT(Bad(CheckNode(machine)),
               Contains("warning nofile open files: 1024, at most 1048576"));
  machine.rdma = {"mlx5_0"};
  REQUIRE_THAT(Bad(CheckNode(machine)), Contains("warning memlock locked memory: 8.0 MiB"));
  machine.locked_memory = {UINT64_MAX, UINT64_MAX};
  REQUIRE(IsOk(CheckNode(machine), "memlock"));
  machine.port_users[7401] = "nginx (pid 12)";
  REQUIRE_THAT(Bad(CheckDefaultPorts(machine)),
               Contains("warning ports port 7401 is used by nginx (pid 12)"));
}

TEST_CASE("a kernel's version is read from its release", "[cli][doctor]") {
  REQUIRE(KernelVersion("6.1.0-18-amd64") == std::pair(6, 1));
  REQUIRE(KernelVersion("6.14-rc1") == std::pair(6, 14));
  REQUIRE(KernelVersion("odd") == std::pair(0, 0));
}

TEST_CASE("a cluster that is well still says where its names lie", "[cli][doctor]") {
  Well well;
  const Findings findings = well.Check();
  REQUIRE(CountOf(findings, Level::kProblem) == 0);
  REQUIRE(CountOf(findings, Level::kWarning) == 1);
  REQUIRE_THAT(Bad(findings), Contains("warning metadata") && Contains("back it up"));
  for (const char* check :
       {"metaserver", "clock", "versions", "status", "disk", "network", "certificate"}) {
    INFO(check);
    REQUIRE(IsOk(findings, check));
  }
}

TEST_CASE("TCP instead of RDMA is said with its reason, and with a fix where there is one",
          "[cli][doctor]") {
  Well well;
  const auto add = [&](const char* transport, const char* reason) {
    wire::PeerTransport* peer = well.status.add_clients()->add_transports();
    peer->set_transport(transport);
    peer->set_reason(reason);
  };
  add("tcp", "");  // nobody asked for RDMA
  REQUIRE_FALSE(IsOk(well.Check(), "transport"));
  add("tcp", "no_device");
  add("tcp", "peer_has_none");
  add("rdma", "");
  REQUIRE(IsOk(well.Check(), "transport"));
  add("tcp", "memlock");
  REQUIRE_THAT(Bad(well.Check()), Contains("warning transport TCP instead of RDMA between 1") &&
                                      Contains("LimitMEMLOCK"));
}

TEST_CASE("a metaserver that does not answer is a problem, and the last word", "[cli][doctor]") {
  FakeMachine machine;
  ClusterFacts facts;
  facts.status = absl::UnavailableError("nobody answers");
  facts.own_ports = {{"metaserver", 7400}, {"cs1", 7411}, {"cs2", 7412}};
  machine.port_users[7411] = "nginx (pid 12)";
  machine.port_users[7412] = "penstock-chunkserver (pid 13)";
  const Findings findings = CheckCluster(machine, facts);
  REQUIRE(findings.back().text == "nobody answers");
  REQUIRE_THAT(Bad(findings), Contains("problem ports metaserver does not listen on port 7400") &&
                                  Contains("problem ports port 7411 of cs1 is used by nginx") &&
                                  !Contains("7412"));
}

TEST_CASE("clocks, versions and certificates are compared", "[cli][doctor]") {
  Well well;
  well.status.set_now_us(absl::ToUnixMicros(well.machine.now + absl::Seconds(3)));
  REQUIRE_THAT(Bad(well.Check()), Contains("warning clock differs from the metaserver's by 3.0 s"));
  well.status.set_now_us(absl::ToUnixMicros(well.machine.now - absl::Minutes(9)));
  REQUIRE_THAT(Bad(well.Check()), Contains("problem clock"));
  well.status.mutable_servers(0)->mutable_server()->set_version("0.9");
  wire::ClientInfo* client = well.status.add_clients();
  client->set_hostname("n2");
  client->set_mountpoint("/m");
  client->set_version("1.1");
  REQUIRE_THAT(Bad(well.Check()),
               Contains("the metaserver is 1.0, but server 1 (node1) 0.9, client "
                        "n2:/m 1.1"));
  well.machine.certificates.emplace("/keys/admin.crt", well.machine.now + absl::Hours(48));
  well.machine.certificates.emplace("/keys/server.crt", well.machine.now - absl::Hours(1));
  REQUIRE_THAT(Bad(well.Check()), Contains("warning certificate /keys/admin.crt expires in 2 d") &&
                                      Contains("problem certificate /keys/server.crt has expired"));
}

TEST_CASE("directories that are no place for data are named", "[cli][doctor]") {
  Well well;
  well.AddTarget(2, "/d/t2", "node1");
  REQUIRE_THAT(Bad(well.Check()),
               Contains("problem disk target 2 (/d/t2): /d/t2: no such directory"));
  well.machine.directories["/d/t2"] = {"tmpfs", kGiB, kGiB, 8, false};
  REQUIRE_THAT(Bad(well.Check()), Contains("problem disk target 2 (/d/t2) is on tmpfs"));
  well.machine.directories["/d/t2"] = {"nfs", kGiB, kGiB, 8, false};
  REQUIRE_THAT(Bad(well.Check()), Contains("no disk of this machine"));
  well.machine.directories["/d/t2"] = {"overlay", kGiB, kGiB, 8, false};
  REQUIRE_THAT(Bad(well.Check()), Contains("warning disk") && Contains("container"));
  well.machine.directories["/d/t2"] = {"xfs", kGiB, kMiB, 8, false};
  REQUIRE_THAT(Bad(well.Check()), Contains("nearly full"));
  well.machine.directories["/d/t2"] = {"xfs", kGiB, kGiB, 8, true};
  REQUIRE_THAT(Bad(well.Check()), Contains("problem disk") && Contains("read-only"));
  well.machine.directories["/d/t2"] = {"ext4", kTiB, kTiB, 7, false};
  REQUIRE_THAT(Bad(well.Check()), Contains("warning disk targets 1, 2 share one disk"));
  well.AddTarget(3, "/elsewhere", "node9");  // not for us to look at
  REQUIRE_THAT(Bad(well.Check()), !Contains("/elsewhere"));
}

TEST_CASE("networks and what the cluster itself reports are told", "[cli][doctor]") {
  Well well;
  well.machine.interfaces["10.0.0.2"] = {"eth0", 1400};
  REQUIRE_THAT(Bad(well.Check()), Contains("warning network servers are reached through eth0, MTU "
                                           "1400"));
  well.status.mutable_servers(0)->mutable_server()->add_addresses()->set_host("10.0.0.3");
  REQUIRE_THAT(Bad(well.Check()), Contains("problem network no route to server 1 at 10.0.0.3"));
  well.machine.interfaces["10.0.0.3"] = {"eth1", 9000};
  REQUIRE_THAT(Bad(well.Check()), Contains("different MTUs"));
  well.status.add_problems("server 2 is offline: start it");
  well.status.mutable_classes(0)->set_replication(1);
  REQUIRE_THAT(Bad(well.Check()), Contains("problem status server 2 is offline: start it") &&
                                      Contains("storage class default keeps one copy"));
}

TEST_CASE("findings are told in lines and as JSON", "[cli][doctor]") {
  const Findings findings = {Ok("kernel", "Linux 6"), Problem("fuse", "none", "load it")};
  REQUIRE(FindingsText(findings) ==
          "ok       kernel       Linux 6\n"
          "problem  fuse         none\n"
          "                      -> load it\n"
          "\n1 problem, 0 warnings\n");
  REQUIRE(FindingsJson(findings)[1]["level"] == "problem");
  REQUIRE(FindingsJson(findings)[0]["fix"] == "");
}

}  // namespace penstock::cli

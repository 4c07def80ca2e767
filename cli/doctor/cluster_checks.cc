#include "cli/doctor/cluster_checks.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "cli/human.h"
#include "common/net/rdma_failure.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr absl::Duration kSkew = absl::Seconds(1);
constexpr absl::Duration kMuchSkew = absl::Minutes(5);
constexpr absl::Duration kSoon = absl::Hours(24 * 30);
constexpr double kNearlyFull = 0.05;
constexpr uint32_t kUsualMtu = 1500;
constexpr uint32_t kLoopbackMtu = 65536;

class ClusterChecks {
 public:
  ClusterChecks(const Machine& machine, const ClusterFacts& facts)
      : machine_(machine), facts_(facts) {}

  Findings Run() {
    Certificates();
    Ports();
    if (!facts_.status.ok()) {
      Add(Problem("metaserver", std::string(facts_.status.status().message()),
                  "start it, and look at its log; the rest of the cluster was not looked at"));
      return std::move(findings_);
    }
    status_ = &*facts_.status;
    Add(Ok("metaserver", absl::StrCat("answers at ", status_->metaserver_address())));
    Clock();
    Versions();
    Problems();
    Copies();
    Directories();
    Network();
    Transports();
    Metadata();
    return std::move(findings_);
  }

 private:
  void Add(Finding finding) { findings_.push_back(std::move(finding)); }

  void Certificates() {
    for (const char* name : {"ca.crt", "admin.crt", "server.crt"}) {
      const std::string path = absl::StrCat(facts_.keys_directory, "/", name);
      const absl::StatusOr<absl::Time> ends = machine_.CertificateEnds(path);
      if (absl::IsNotFound(ends.status())) continue;  // not every machine has each
      if (!ends.ok()) {
        Add(Problem("certificate", absl::StrCat(path, " cannot be read: ", ends.status().message()),
                    "bring it back from where the keys are kept, or make another by `penstock key "
                    "cert`"));
        continue;
      }
      const absl::Duration left = *ends - machine_.Now();
      const bool signs = absl::string_view(name) == "ca.crt";
      const std::string fix =
          signs ? "make a new CA by `penstock key ca` and new certificates by `penstock key cert`, "
                  "give them to every server and administrator and start the servers again"
                : "make another by `penstock key cert` and start the servers again";
      if (left <= absl::ZeroDuration()) {
        Add(Problem("certificate", absl::StrCat(path, " has expired"), fix));
      } else if (left < kSoon) {
        Add(Warning("certificate", absl::StrCat(path, " expires in ", HumanDuration(left)), fix));
      } else {
        Add(Ok("certificate", absl::StrCat(path, " is good for ", HumanDuration(left))));
      }
    }
  }

  // Of servers that ought to run on this machine.
  void Ports() {
    for (const auto& [who, port] : facts_.own_ports) {
      const std::string user = machine_.PortUser(port);
      if (absl::StartsWith(user, "penstock")) {
        Add(Ok("ports", absl::StrCat("port ", port, " of ", who, ": ", user)));
      } else if (!user.empty()) {
        Add(Problem("ports", absl::StrCat("port ", port, " of ", who, " is used by ", user),
                    "end that program, then `penstock up` again"));
      } else if (machine_.CanListen("127.0.0.1", port)) {
        Add(Problem("ports", absl::StrCat(who, " does not listen on port ", port),
                    absl::StrCat("`penstock up ", facts_.name, "` starts it")));
      } else {
        Add(Ok("ports",
               absl::StrCat("port ", port, " of ", who, " is in use (only root may see by whom)")));
      }
    }
  }

  // The metaserver looked at its clock at some time between the question and the answer.
  void Clock() {
    const absl::Time there = absl::FromUnixMicros(status_->now_us());
    absl::Duration skew = absl::ZeroDuration();
    if (there < facts_.asked) skew = facts_.asked - there;
    if (there > facts_.answered) skew = there - facts_.answered;
    const std::string text = absl::StrCat("differs from the metaserver's by ", HumanDuration(skew));
    const std::string fix =
        "run chrony or systemd-timesyncd on all machines: file times come from several clocks";
    if (skew > kMuchSkew) return Add(Problem("clock", text, fix));
    if (skew > kSkew) return Add(Warning("clock", text, fix));
    Add(Ok("clock", "is the metaserver's, within a second"));
  }

  void Versions() {
    const std::string& wanted = status_->metaserver_version();
    std::vector<std::string> others;
    if (facts_.own_version != wanted) {
      others.push_back(absl::StrCat("this program ", facts_.own_version));
    }
    for (const wire::ServerInfo& info : status_->servers()) {
      if (info.server().version() == wanted) continue;
      others.push_back(absl::StrCat("server ", info.server().server_id(), " (",
                                    info.server().hostname(), ") ", info.server().version()));
    }
    for (const wire::ClientInfo& info : status_->clients()) {
      if (info.version() == wanted) continue;
      others.push_back(
          absl::StrCat("client ", info.hostname(), ":", info.mountpoint(), " ", info.version()));
    }
    if (others.empty()) return Add(Ok("versions", absl::StrCat("all are ", wanted)));
    const size_t more = others.size() > 5 ? others.size() - 5 : 0;
    others.resize(others.size() - more);
    Add(Warning("versions",
                absl::StrCat("the metaserver is ", wanted, ", but ", absl::StrJoin(others, ", "),
                             more == 0 ? "" : absl::StrCat(" and ", more, " more")),
                "install one version everywhere, and start what is older again"));
  }

  void Problems() {
    for (const std::string& problem : status_->problems()) {
      Add(Problem("status", problem, "as the line says; `penstock status` has the rest"));
    }
    if (status_->problems().empty()) Add(Ok("status", "the cluster reports no problem"));
  }

  void Copies() {
    for (const wire::MapStorageClass& c : status_->classes()) {
      if (c.replication() > 1) continue;
      Add(Warning("copies",
                  absl::StrCat("storage class ", c.name(),
                               " keeps one copy: what a disk "
                               "loses is lost"),
                  "take a class with two or more for what matters"));
    }
  }

  void Directories() {
    std::map<uint64_t, std::set<std::string>> on_device;  // targets of this machine
    for (const wire::TargetInfo& info : status_->targets()) {
      if (info.hostname() != machine_.HostName()) continue;
      const std::string name =
          absl::StrCat("target ", info.target().target_id(), " (", info.target().path(), ")");
      const absl::StatusOr<DirectoryFacts> found = machine_.LookAt(info.target().path());
      if (ErrnoOf(found.status()) == EACCES) {
        Add(Warning("disk", absl::StrCat(name, " may not be looked at by this user"),
                    "run `penstock doctor` as root"));
        continue;
      }
      if (!found.ok()) {
        Add(Problem("disk", absl::StrCat(name, ": ", found.status().message()),
                    "mount its disk and start the chunkserver again"));
        continue;
      }
      on_device[found->device].insert(absl::StrCat(info.target().target_id()));
      Directory(name, *found);
    }
    for (const auto& [device, targets] : on_device) {
      if (targets.size() < 2) continue;
      Add(Warning("disk",
                  absl::StrCat("targets ", absl::StrJoin(targets, ", "),
                               " share one disk: it takes all of them with it"),
                  "fine to try things out; for data that matters one disk a target"));
    }
  }

  void Directory(const std::string& name, const DirectoryFacts& found) {
    const std::string text =
        absl::StrCat(name, " is on ", found.file_system, ", ", HumanBytes(found.free_bytes),
                     " free of ", HumanBytes(found.capacity_bytes));
    if (found.read_only) {
      return Add(Problem("disk", absl::StrCat(text, ", mounted read-only"),
                         "look at the disk (dmesg), mend it and mount it writable"));
    }
    static const std::set<std::string> kLost = {"tmpfs", "ramfs"};
    static const std::set<std::string> kRemote = {"nfs", "fuse", "ceph"};
    if (kLost.contains(found.file_system)) {
      return Add(Problem("disk", absl::StrCat(text, ": gone with the next reboot"),
                         "put the target on a disk"));
    }
    if (kRemote.contains(found.file_system)) {
      return Add(Problem("disk", absl::StrCat(text, ": no disk of this machine"),
                         "put the target on a local disk: another file system's sync may promise "
                         "less"));
    }
    if (found.file_system == "overlay") {
      return Add(Warning("disk",
                         absl::StrCat(text, ": a container's own layer, which goes with it"),
                         "mount a volume for the target"));
    }
    if (static_cast<double>(found.free_bytes) <
        kNearlyFull * static_cast<double>(found.capacity_bytes)) {
      return Add(Warning("disk", absl::StrCat(text, ": nearly full"),
                         "add a target, delete files, or free space on the disk"));
    }
    Add(Ok("disk", text));
  }

  void Network() {
    std::map<std::string, InterfaceFacts> interfaces;
    for (const wire::ServerInfo& info : status_->servers()) {
      for (const wire::Address& address : info.server().addresses()) {
        const auto towards = machine_.InterfaceTowards(address.host());
        if (!towards) {
          Add(Problem("network",
                      absl::StrCat("no route to server ", info.server().server_id(), " at ",
                                   address.host()),
                      "look at the routes of this machine, or the server's --advertise"));
          continue;
        }
        interfaces[towards->name] = *towards;
      }
    }
    std::set<uint32_t> mtus;
    for (const auto& [name, facts] : interfaces) {
      const std::string text =
          absl::StrCat("servers are reached through ", name, ", MTU ", facts.mtu);
      if (facts.mtu < kLoopbackMtu) mtus.insert(facts.mtu);
      if (facts.mtu < kUsualMtu) {
        Add(Warning("network", absl::StrCat(text, ": small packets cost throughput"),
                    absl::StrCat("ip link set ", name,
                                 " mtu 1500, or 9000 where every switch "
                                 "takes it")));
      } else {
        Add(Ok("network", text));
      }
    }
    if (mtus.size() > 1) {
      Add(Warning("network", "the interfaces towards the servers have different MTUs",
                  "set one MTU on all interfaces and switches of that network"));
    }
  }

  // What carries the mounts' calls. Machines without RDMA are nothing to worry about.
  void Transports() {
    std::map<std::string, int> by_reason;  // connections' peers
    int rdma = 0;
    for (const wire::ClientInfo& client : status_->clients()) {
      for (const wire::PeerTransport& peer : client.transports()) {
        if (peer.transport() == "rdma") ++rdma;
        if (peer.transport() != "rdma" && !peer.reason().empty()) ++by_reason[peer.reason()];
      }
    }
    if (rdma > 0) Add(Ok("transport", absl::StrCat("RDMA carries ", rdma, " connections' calls")));
    for (net::RdmaFailure failure : net::kAllRdmaFailures) {
      const auto found = by_reason.find(std::string(net::RdmaFailureName(failure)));
      if (found == by_reason.end()) continue;
      const std::string text = absl::StrCat("TCP instead of RDMA between ", found->second,
                                            " pairs of mount and server: ", found->first);
      if (failure == net::RdmaFailure::kNoDevice || failure == net::RdmaFailure::kPeerHasNone) {
        Add(Ok("transport", text));
      } else {
        Add(Warning("transport", text, std::string(net::RdmaFailureFix(failure))));
      }
    }
  }

  // DESIGN.md section 1: documentation and doctor say so.
  void Metadata() {
    Add(Warning("metadata",
                "names, attributes and files up to 4 KiB are on the metaserver's disk alone: they "
                "survive a crash and a power cut, not the loss of that disk",
                "keep its directory on mirrored disks, and back it up"));
  }

  const Machine& machine_;
  const ClusterFacts& facts_;
  const wire::StatusResponse* status_ = nullptr;
  Findings findings_;
};

}  // namespace

Findings CheckCluster(const Machine& machine, const ClusterFacts& facts) {
  return ClusterChecks(machine, facts).Run();
}

}  // namespace penstock::cli

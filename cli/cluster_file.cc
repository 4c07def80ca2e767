#include "cli/cluster_file.h"

#include <absl/strings/str_cat.h>

#include <nlohmann/json.hpp>

#include "cli/paths.h"
#include "common/file.h"
#include "common/net/transport_choice.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

using nlohmann::json;

// Reads members of an object and remembers the first thing that is wrong.
class Members {
 public:
  Members(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) Complain("is no object");
  }
  std::string Text(const char* name) {
    const json* value = Find(name);
    if (value == nullptr) return "";
    if (value->is_string()) return value->get<std::string>();
    Complain(absl::StrCat("member \"", name, "\" is no string"));
    return "";
  }
  uint64_t Number(const char* name, uint64_t least, uint64_t most) {
    const json* value = Find(name);
    if (value == nullptr) return least;
    if (value->is_number_unsigned()) {
      const uint64_t number = value->get<uint64_t>();
      if (number >= least && number <= most) return number;
    }
    Complain(absl::StrCat("member \"", name, "\" is no number ", least, " .. ", most));
    return least;
  }
  uint16_t Port(const char* name) { return static_cast<uint16_t>(Number(name, 1, 65535)); }
  std::vector<std::string> Texts(const char* name) {
    std::vector<std::string> texts;
    for (const json& value : Array(name)) {
      if (value.is_string()) {
        texts.push_back(value.get<std::string>());
      } else {
        Complain(absl::StrCat("member \"", name, "\" has something else than strings"));
      }
    }
    return texts;
  }
  const json& Array(const char* name) {
    static const json kEmpty = json::array();
    const json* value = Find(name);
    if (value == nullptr) return kEmpty;
    if (value->is_array()) return *value;
    Complain(absl::StrCat("member \"", name, "\" is no list"));
    return kEmpty;
  }
  const json& Object(const char* name) {
    static const json kEmpty = json::object();
    const json* value = Find(name);
    return value == nullptr ? kEmpty : *value;
  }
  const absl::Status& status() const { return status_; }

 private:
  const json* Find(const char* name) {
    if (!object_.is_object()) return nullptr;
    auto found = object_.find(name);
    if (found != object_.end()) return &*found;
    Complain(absl::StrCat("member \"", name, "\" is missing"));
    return nullptr;
  }
  void Complain(absl::string_view what) {
    if (status_.ok()) status_ = absl::InvalidArgumentError(absl::StrCat(where_, ": ", what));
  }

  const json& object_;
  const std::string where_;
  absl::Status status_;
};

absl::Status CheckFormat(const json& root) {
  if (!root.is_object()) return absl::InvalidArgumentError("cluster.json is no JSON object");
  auto format = root.find("format");
  if (format == root.end() || !format->is_number_unsigned()) {
    return absl::InvalidArgumentError("cluster.json has no format number");
  }
  const uint64_t number = format->get<uint64_t>();
  if (number == kClusterFileFormat) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "cluster.json has format ", number, "; penstock " PENSTOCK_VERSION " knows format ",
      kClusterFileFormat, ": use the penstock that made it"));
}

}  // namespace

std::string ClusterFileText(const ClusterFile& file) {
  nlohmann::ordered_json root;
  root["format"] = kClusterFileFormat;
  root["cluster_id"] = file.cluster_id;
  root["created"] = file.created;
  root["replication"] = file.replication;
  root["targets_per_server"] = file.targets_per_server;
  root["base_port"] = file.base_port;
  root["metaserver"] = {{"host", file.metaserver.host},
                        {"port", file.metaserver.port},
                        {"grpc_port", file.grpc_port}};
  root["chunkservers"] = nlohmann::ordered_json::array();
  for (const ChunkServerEntry& server : file.chunkservers) {
    root["chunkservers"].push_back(
        {{"name", server.name}, {"port", server.port}, {"targets", server.targets}});
  }
  root["mounts"] = file.mounts;
  root["transport"] = file.transport;
  return root.dump(2) + "\n";
}

absl::StatusOr<ClusterFile> ParseClusterFile(absl::string_view text) {
  const json root = json::parse(text, nullptr, /*allow_exceptions=*/false);
  RETURN_IF_ERROR(CheckFormat(root));
  Members members(root, "cluster.json");
  ClusterFile file;
  file.cluster_id = members.Text("cluster_id");
  file.created = members.Text("created");
  file.replication = static_cast<uint32_t>(members.Number("replication", 1, 16));
  file.targets_per_server = static_cast<uint32_t>(members.Number("targets_per_server", 1, 1024));
  file.base_port = members.Port("base_port");
  Members metaserver(members.Object("metaserver"), "cluster.json, \"metaserver\"");
  file.metaserver.host = metaserver.Text("host");
  file.metaserver.port = metaserver.Port("port");
  file.grpc_port = metaserver.Port("grpc_port");
  RETURN_IF_ERROR(metaserver.status());
  for (const json& value : members.Array("chunkservers")) {
    Members server(value, "cluster.json, \"chunkservers\"");
    file.chunkservers.push_back(
        {server.Text("name"), server.Port("port"), server.Texts("targets")});
    RETURN_IF_ERROR(server.status());
  }
  file.mounts = members.Texts("mounts");
  if (root.contains("transport"))
    file.transport = members.Text("transport");  // newer than format 1
  if (!net::ParseTransportMode(file.transport).has_value()) {
    return absl::InvalidArgumentError("cluster.json: \"transport\" is not auto, rdma or tcp");
  }
  RETURN_IF_ERROR(members.status());
  return file;
}

std::string ClusterDirectory::Key(absl::string_view name) const {
  return absl::StrCat(root, "/keys/", name);
}
std::string ClusterDirectory::Log(absl::string_view program) const {
  return absl::StrCat(root, "/logs/", program, ".log");
}
std::string ClusterDirectory::Pid(absl::string_view program) const {
  return absl::StrCat(root, "/run/", program, ".pid");
}
std::string ClusterDirectory::Below(absl::string_view relative) const {
  if (!relative.empty() && relative[0] == '/') return std::string(relative);
  return absl::StrCat(root, "/", relative);
}

bool ClusterDirectory::HasCluster() const {
  absl::StatusOr<bool> exists = PosixFileSystem()->Exists(File());
  return exists.ok() && *exists;
}

absl::StatusOr<ClusterFile> ClusterDirectory::Read() const {
  if (!HasCluster()) {
    return absl::NotFoundError(absl::StrCat(root,
                                            " holds no cluster (no cluster.json in it); "
                                            "`penstock up ",
                                            ShellWord(root), "` makes one"));
  }
  ASSIGN_OR_RETURN(std::string text, ReadSmallFile(PosixFileSystem(), File()));
  absl::StatusOr<ClusterFile> file = ParseClusterFile(text);
  if (!file.ok()) return Annotate(file.status(), root);
  return file;
}

absl::Status ClusterDirectory::Write(const ClusterFile& file) const {
  return WriteSmallFile(PosixFileSystem(), File(), ClusterFileText(file));
}

}  // namespace penstock::cli

#include "chunkserver/server_identity.h"

#include <absl/strings/str_cat.h>

#include <nlohmann/json.hpp>

#include "common/program.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

constexpr int kFormat = 1;

std::string PathOf(const std::string& dir) { return absl::StrCat(dir, "/server.json"); }

absl::StatusOr<ServerIdentity> Parse(const std::string& path, const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::DataLossError(absl::StrCat(path, " is no JSON object"));
  if (const int format = json.value("format", 0); format != kFormat) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " has format ", format, "; this program knows ", kFormat));
  }
  ServerIdentity identity;
  identity.cluster_id = json.value("cluster_id", "");
  identity.server_uuid = json.value("server_uuid", "");
  identity.server_id = ServerId(json.value("server_id", 0u));
  for (const auto& target : json.value("targets", nlohmann::json::array())) {
    identity.targets.push_back({target.value("path", ""), target.value("uuid", ""),
                                TargetId(target.value("target_id", 0u)),
                                target.value("lost_changes", false)});
  }
  if (identity.cluster_id.empty() || identity.server_uuid.empty()) {
    return absl::DataLossError(absl::StrCat(path, " lacks cluster_id or server_uuid"));
  }
  return identity;
}

}  // namespace

KnownTarget* ServerIdentity::FindPath(const std::string& path) {
  for (KnownTarget& target : targets) {
    if (target.path == path) return &target;
  }
  return nullptr;
}

absl::Status SaveIdentity(const std::string& dir, const ServerIdentity& identity, FileSystem* fs) {
  nlohmann::ordered_json json;
  json["format"] = kFormat;
  json["cluster_id"] = identity.cluster_id;
  json["server_uuid"] = identity.server_uuid;
  json["server_id"] = identity.server_id.value();
  json["targets"] = nlohmann::ordered_json::array();
  for (const KnownTarget& target : identity.targets) {
    nlohmann::ordered_json entry;
    entry["path"] = target.path;
    entry["uuid"] = target.uuid;
    entry["target_id"] = target.id.value();
    if (target.lost_changes) entry["lost_changes"] = true;
    json["targets"].push_back(std::move(entry));
  }
  return Annotate(WriteSmallFile(fs, PathOf(dir), json.dump(2) + "\n"), "save server.json");
}

absl::StatusOr<ServerIdentity> LoadOrMakeIdentity(const std::string& dir,
                                                  const std::string& cluster_id, FileSystem* fs) {
  RETURN_IF_ERROR(Annotate(fs->MakeDirectory(dir), dir));
  const std::string path = PathOf(dir);
  ASSIGN_OR_RETURN(const bool exists, fs->Exists(path));
  if (!exists) {
    if (cluster_id.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("a new server needs --cluster-id: ", path, " does not exist"));
    }
    ServerIdentity identity;
    identity.cluster_id = cluster_id;
    identity.server_uuid = NewUuid();
    RETURN_IF_ERROR(SaveIdentity(dir, identity, fs));
    return identity;
  }
  ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(fs, path));
  ASSIGN_OR_RETURN(ServerIdentity identity, Parse(path, text));
  if (!cluster_id.empty() && cluster_id != identity.cluster_id) {
    return WithReason(
        absl::FailedPreconditionError(absl::StrCat(path, " belongs to cluster ",
                                                   identity.cluster_id, ", not to ", cluster_id)),
        Reason::kWrongCluster);
  }
  return identity;
}

}  // namespace penstock::chunkserver

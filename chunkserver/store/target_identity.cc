// identity.json: what makes a directory a target (docs/formats/chunk_store.md).
#include <nlohmann/json.hpp>

#include "chunkserver/store/chunk_store.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

constexpr int kIdentityFormat = 1;

std::string IdentityPath(const std::string& dir) { return dir + "/identity.json"; }

absl::Status Absent(const std::string& why) {
  return WithReason(absl::FailedPreconditionError("target is absent: " + why),
                    Reason::kAbsentTarget);
}

}  // namespace

absl::StatusOr<TargetIdentity> ChunkStore::ReadIdentity(const std::string& dir, FileSystem* fs) {
  ASSIGN_OR_RETURN(bool exists, fs->Exists(IdentityPath(dir)));
  if (!exists) return Absent(dir + " has no identity.json");
  ASSIGN_OR_RETURN(std::string text, ReadSmallFile(fs, IdentityPath(dir)));
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  auto has = [&](const char* name, bool number) {
    return json.contains(name) &&
           (number ? json[name].is_number_unsigned() : json[name].is_string());
  };
  if (!json.is_object() || !has("format", true)) {
    return Absent(dir + "/identity.json is no identity");
  }
  if (json["format"].get<uint64_t>() != kIdentityFormat) {
    return Absent(dir + "/identity.json has a format that this program does not know");
  }
  if (!has("cluster_id", false) || !has("target_uuid", false) || !has("target_id", true)) {
    return Absent(dir + "/identity.json lacks a field");
  }
  return TargetIdentity{json["cluster_id"].get<std::string>(),
                        json["target_uuid"].get<std::string>(),
                        TargetId(json["target_id"].get<uint32_t>())};
}

absl::Status ChunkStore::WriteIdentity(const std::string& dir, const TargetIdentity& identity,
                                       FileSystem* fs) {
  const nlohmann::json json = {{"format", kIdentityFormat},
                               {"cluster_id", identity.cluster_id},
                               {"target_uuid", identity.target_uuid},
                               {"target_id", identity.target_id.value()}};
  return WriteSmallFile(fs, IdentityPath(dir), json.dump(2) + "\n");
}

}  // namespace penstock::chunkserver

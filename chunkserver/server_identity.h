// ServerIdentity is server.json in the server's directory (docs/formats/server_json.md): who this
// server is, and which targets it is known to have. A target in it whose directory is empty is
// absent, never new.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "common/file.h"
#include "common/ids.h"

namespace penstock::chunkserver {

struct KnownTarget {
  std::string path;
  std::string uuid;
  TargetId id;  // 0: not registered yet
  // Its disk failed, or records of its index were lost: what was acknowledged may be missing. Until
  // the metaserver has heard of it.
  bool lost_changes = false;
};

struct ServerIdentity {
  std::string cluster_id;
  std::string server_uuid;
  ServerId server_id;  // 0: not registered yet
  std::vector<KnownTarget> targets;

  KnownTarget* FindPath(const std::string& path);  // nullptr: none
};

// Loads `dir`/server.json, or makes a new identity of `cluster_id` and saves it.
// FAILED_PRECONDITION with kWrongCluster: the file is another cluster's. `cluster_id` may be empty
// when the file exists.
absl::StatusOr<ServerIdentity> LoadOrMakeIdentity(const std::string& dir,
                                                  const std::string& cluster_id, FileSystem* fs);
absl::Status SaveIdentity(const std::string& dir, const ServerIdentity& identity, FileSystem* fs);

}  // namespace penstock::chunkserver

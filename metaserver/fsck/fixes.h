// Carries out what `penstock fsck --repair` asks for (proto/admin.proto, Fix). Each fix looks
// again, under locks, whether what it is about is still as it was, and changes nothing otherwise.
// Thread-safe.
#pragma once

#include "metaserver/cluster/cluster_state.h"
#include "metaserver/namespace.h"
#include "proto/admin.pb.h"

namespace penstock::metaserver {

class Fixes {
 public:
  // Both must outlive it.
  Fixes(Namespace* names, ClusterState* cluster) : names_(names), cluster_(cluster) {}
  // Never an error of the call: the result says what was done, or why not.
  wire::FixResult Apply(const wire::Fix& fix);

 private:
  absl::StatusOr<std::string> Do(const wire::Fix& fix);
  absl::StatusOr<std::string> SetInode(const wire::Fix& fix);
  absl::StatusOr<std::string> ToLostAndFound(const wire::Fix& fix);
  absl::StatusOr<InodeNumber> LostAndFound();
  absl::StatusOr<std::string> RemoveName(const wire::Fix& fix);
  absl::StatusOr<std::string> RemoveRecord(const wire::Fix& fix);
  absl::StatusOr<std::string> RemoveXattrs(const wire::Fix& fix);
  absl::StatusOr<std::string> AddToCounters(const wire::Fix& fix);
  absl::StatusOr<std::string> DeleteContent(const wire::Fix& fix);
  absl::StatusOr<std::string> TrimFile(const wire::Fix& fix);

  Namespace* const names_;
  ClusterState* const cluster_;
};

}  // namespace penstock::metaserver

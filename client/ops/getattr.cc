// getattr and statfs. A file with bytes that only this mount has shows their size and time.
#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {

absl::StatusOr<wire::Entry> FileSystem::Getattr(InodeNumber ino, const OpContext& op) {
  ASSIGN_OR_RETURN(wire::Entry entry, GetEntry(ino, op));
  return Merge(entry);
}

absl::StatusOr<wire::StatfsResponse> FileSystem::Statfs(const OpContext& op) {
  return meta_->Query<wire::StatfsResponse>(wire::METHOD_STATFS, wire::StatfsRequest(), op);
}

}  // namespace penstock::client

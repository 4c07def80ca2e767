// lookup: a name in a directory. What was found is kept for the open that follows.
#include <cerrno>

#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {

absl::StatusOr<wire::Entry> FileSystem::Lookup(EntryName name, const OpContext& op) {
  wire::LookupRequest request;
  request.set_parent(name.parent.value());
  request.set_name(std::string(name.name));
  auto response = meta_->Query<wire::EntryResponse>(wire::METHOD_LOOKUP, request, op);
  if (!response.ok()) {
    if (ErrnoOf(response.status()) == ENOENT) {
      lookups_.Remember(op.thread, {name.parent, std::string(name.name), std::nullopt});
    }
    return response.status();
  }
  lookups_.Remember(op.thread, {name.parent, std::string(name.name), response->entry()});
  return inodes_.Absorb(response->entry());
}

}  // namespace penstock::client

#include <algorithm>
#include <cerrno>

#include "common/status.h"
#include "metaserver/ops/read_operations.h"

namespace penstock::metaserver {
namespace {

constexpr uint32_t kDefaultNames = 1000;
constexpr uint32_t kMaxNames = 10000;
constexpr size_t kMaxReplyBytes = 1 << 20;  // about: one entry may reach over it

}  // namespace

absl::Status Readdir(const ReadView& view, const wire::ReaddirRequest& request,
                     wire::ReaddirResponse& response) {
  ASSIGN_OR_RETURN(const Inode directory, view.GetInode(InodeNumber(request.ino())));
  if (!directory.is_directory()) return PosixError(ENOTDIR, "readdir: not a directory");
  response.set_parent(directory.parent().value());
  const uint32_t limit =
      request.limit() == 0 ? kDefaultNames : std::min(request.limit(), kMaxNames);
  size_t bytes = 0;
  bool cut = false;
  auto visit = [&](std::string_view name, const Dentry& dentry) -> absl::StatusOr<bool> {
    if (static_cast<uint32_t>(response.entries_size()) == limit || bytes >= kMaxReplyBytes) {
      cut = true;
      return false;
    }
    wire::DirectoryEntry& entry = *response.add_entries();
    const InodeNumber ino(directory.ino.dataset(), dentry.local);
    entry.set_name(name.data(), name.size());
    entry.set_ino(ino.value());
    entry.set_type(dentry.type);
    if (request.with_entries()) {
      ASSIGN_OR_RETURN(const Inode inode, view.GetInode(ino));
      view.FillEntry(inode, *entry.mutable_entry());
    }
    bytes += entry.ByteSizeLong();
    return true;
  };
  RETURN_IF_ERROR(view.VisitNames(directory.ino, request.start_after(), visit));
  response.set_end(!cut);
  return absl::OkStatus();
}

}  // namespace penstock::metaserver

#include <algorithm>
#include <cerrno>

#include "common/status.h"
#include "metaserver/allocated.h"
#include "metaserver/ops/file_size.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/ops/open_file.h"

namespace penstock::metaserver {
namespace {

absl::Status InlineConflict(const char* why) {
  return WithReason(absl::AbortedError(why), Reason::kInlineDropped);
}

absl::Status CheckContent(const Inode& inode, uint64_t content) {
  if (content == inode.layout.layout.content.value()) return absl::OkStatus();
  return WithReason(PosixError(ESTALE, "the file has another content now"),
                    Reason::kContentChanged);
}

// The whole content goes into the record.
absl::Status SetInline(Inode& inode, const wire::PublishRequest& request, uint64_t& size) {
  if (!inode.is_inline) return InlineConflict("the file is no longer inline");
  if (inode.data_version != request.expected_data_version()) {
    return InlineConflict("the inline content changed meanwhile");
  }
  size = std::max<uint64_t>(request.inline_data().size(), request.size_at_least());
  if (size > kMaxInlineBytes) return PosixError(EINVAL, "inline content too long");
  inode.data = request.inline_data();
  inode.data.resize(size, '\0');
  return absl::OkStatus();
}

// Chunk 0 holds the inline content, synced; from now on the chunks are the content.
absl::Status DropInline(Inode& inode, const wire::PublishRequest& request) {
  RETURN_IF_ERROR(CheckContent(inode, request.content_id()));
  if (!inode.is_inline) return InlineConflict("the file is no longer inline");
  if (inode.data_version != request.expected_data_version()) {
    return InlineConflict("the inline content changed meanwhile");
  }
  inode.is_inline = false;
  inode.data.clear();
  return absl::OkStatus();
}

// Bytes are in the chunks of the content that the client names.
absl::Status PublishChunks(Inode& inode, const wire::PublishRequest& request) {
  if (request.content_id() != 0) RETURN_IF_ERROR(CheckContent(inode, request.content_id()));
  if (!inode.is_inline) return absl::OkStatus();
  if (request.content_id() == 0 && request.size_at_least() <= inode.size) return absl::OkStatus();
  // An empty inline content has nothing to lose to the chunks.
  if (!inode.data.empty()) return InlineConflict("the content is still inline");
  inode.is_inline = false;
  return absl::OkStatus();
}

// Both times are of the write, not of the close that published it. But whoever has seen the file
// without these bytes must see its ctime move.
void SetTimes(Inode& inode, FileTime written, FileTime old_ctime) {
  inode.mtime = written;
  inode.ctime = std::max(written, ToFileTime(ToAbslTime(old_ctime) + absl::Nanoseconds(1)));
}

}  // namespace

absl::Status Publish(Mutation& m, const wire::PublishRequest& request,
                     wire::PublishResponse& response) {
  const InodeNumber ino(request.ino());
  m.locks().LockInodes({{ino, true}});
  ASSIGN_OR_RETURN(Inode inode, m.view().GetInode(ino));
  if (!inode.is_regular()) return PosixError(EINVAL, "publish: not a regular file");
  const uint64_t old_size = inode.size;
  const bool grows = request.size_at_least() > old_size;
  RETURN_IF_ERROR(CheckNotTruncating(m, inode, /*own_allowed=*/!grows));
  const FileTime old_ctime = inode.ctime;
  uint64_t size = std::max(old_size, request.size_at_least());
  RETURN_IF_ERROR(CheckFileSize(inode, size));
  // What was written into chunks of a file that is there changes its record in place: nobody loses
  // written bytes for want of room here.
  if (!request.set_inline()) m.NeedsNoRoom();
  if (request.set_inline()) {
    RETURN_IF_ERROR(SetInline(inode, request, size));
  } else if (request.drop_inline()) {
    RETURN_IF_ERROR(DropInline(inode, request));
  } else {
    RETURN_IF_ERROR(PublishChunks(inode, request));
  }
  if (request.mtime().nanos() >= 1000000000) return PosixError(EINVAL, "nanoseconds out of range");
  inode.size = size;
  AddAllocated(inode, request.allocated_delta());
  const bool changed = request.bytes_changed() || request.set_inline() || size != old_size;
  if (changed) {
    ++inode.data_version;
    inode.mtime = m.now();
    inode.ctime = m.now();
  }
  if (request.has_mtime())
    SetTimes(inode, {request.mtime().seconds(), request.mtime().nanos()}, old_ctime);
  m.CountBytes(inode, old_size, size);
  m.PutInode(inode);
  if (request.sync()) m.RequireSync();
  m.view().FillEntry(inode, *response.mutable_entry());
  return absl::OkStatus();
}

}  // namespace penstock::metaserver

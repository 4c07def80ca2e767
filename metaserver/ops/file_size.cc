#include "metaserver/ops/file_size.h"

#include <algorithm>
#include <cerrno>
#include <limits>

#include "common/status.h"
#include "metaserver/ops/open_file.h"
#include "metaserver/store/keys.h"

namespace penstock::metaserver {
namespace {

bool AllZero(std::string_view bytes) { return bytes.find_first_not_of('\0') == bytes.npos; }

absl::Status ResizeInline(Inode& inode, uint64_t size) {
  if (size <= kMaxInlineBytes) {
    inode.data.resize(size, '\0');
    return absl::OkStatus();
  }
  // Chunk 0 is absent, so it reads as the zeros that it would hold.
  if (!AllZero(inode.data)) {
    return WithReason(absl::AbortedError("write chunk 0 and drop the inline content first"),
                      Reason::kInlineDropped);
  }
  inode.data.clear();
  inode.is_inline = false;
  return absl::OkStatus();
}

// New size and intent in one batch: from here on nobody reads beyond the new size, and a crash of
// the client or of this server finds the intent. One that was open covers what it has not cut.
void RecordCut(Mutation& m, Inode& inode, wire::SetattrResponse& response) {
  const uint64_t old_size = std::max(inode.size, inode.truncate.old_size);
  inode.truncate = {inode.change + 1, old_size, m.session()};
  m.Put(Family::kOrphan, TruncateKey(inode.ino), "");
  response.set_truncate_intent(inode.truncate.id);
  response.set_truncate_old_size(old_size);
  FillLayout(inode.layout, *response.mutable_truncate_layout());
}

}  // namespace

absl::Status CheckFileSize(const Inode& inode, uint64_t size) {
  const int log2 = inode.layout.layout.chunk_size_log2;
  const uint64_t limit =
      log2 >= 31 ? uint64_t{std::numeric_limits<int64_t>::max()} : uint64_t{1} << (log2 + 32);
  if (size > limit) return PosixError(EFBIG, "the file would be too large");
  return absl::OkStatus();
}

absl::Status SetSize(Mutation& m, Inode& inode, uint64_t size, wire::SetattrResponse& response) {
  RETURN_IF_ERROR(CheckFileSize(inode, size));
  // A session may begin its own cut anew: the client that would have finished it may have died.
  RETURN_IF_ERROR(CheckNotTruncating(m, inode, /*own_allowed=*/size <= inode.size));
  RETURN_IF_ERROR(m.CheckTurn(inode.ino));
  m.RequireShared(inode.ino);
  const uint64_t old_size = inode.size;
  if (size == 0 && old_size != 0) return EmptyFile(m, inode);
  if (inode.is_inline) {
    RETURN_IF_ERROR(ResizeInline(inode, size));
  } else if (size < old_size || inode.truncate.id != 0) {
    RecordCut(m, inode, response);
  }
  if (size == old_size) return absl::OkStatus();
  inode.size = size;
  ++inode.data_version;
  m.CountBytes(inode, old_size, size);
  return absl::OkStatus();
}

}  // namespace penstock::metaserver

// copy_file_range: the bytes come here and go back, but not through the application.
#include <algorithm>

#include "client/file_system.h"
#include "client/wait.h"
#include "common/status.h"
#include "common/units.h"

namespace penstock::client {
namespace {
constexpr uint64_t kPiece = 4 * kMiB;
constexpr uint64_t kAtMost = 256 * kMiB;  // a call; the application goes on
}  // namespace

absl::StatusOr<uint64_t> FileSystem::CopyFileRange(const CopyRange& range, const OpContext& op) {
  if (!range.to->write) return PosixError(EBADF, "not open for writing");
  const uint64_t wanted = std::min(range.length, kAtMost);
  auto buffer = std::make_unique<char[]>(std::min(wanted, kPiece));
  uint64_t done = 0;
  while (done < wanted) {
    const size_t piece = static_cast<size_t>(std::min(kPiece, wanted - done));
    absl::Status status;
    auto read = Read(*range.from, range.from_offset + done, {buffer.get(), piece}, op);
    if (read.ok() && *read == 0) break;
    status = read.status();
    if (read.ok()) {
      status = Write(*range.to, range.to_offset + done, {buffer.get(), *read}, op);
    }
    if (!status.ok()) return done > 0 ? absl::StatusOr<uint64_t>(done) : status;
    done += *read;
    if (*read < piece || !CheckInterrupt(op).ok()) break;
  }
  return done;
}

}  // namespace penstock::client

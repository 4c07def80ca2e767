#include "client/inode.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/status.h"

namespace penstock::client {
namespace {

constexpr uint64_t kBlockBytes = 512;
constexpr uint64_t kUnitBytes = 4096;

// The most that a file of `size` bytes is said to take (metaserver/allocated.h).
uint64_t AllocatedLimit(uint64_t size) { return (size + kUnitBytes - 1) / kUnitBytes * kUnitBytes; }

}  // namespace

wire::Time ToWireTime(absl::Time time) {
  const timespec spec = absl::ToTimespec(time);
  wire::Time wire;
  wire.set_seconds(spec.tv_sec);
  wire.set_nanos(static_cast<uint32_t>(spec.tv_nsec));
  return wire;
}

absl::Time FromWireTime(const wire::Time& time) {
  return absl::TimeFromTimespec({time.seconds(), static_cast<long>(time.nanos())});
}

bool Inode::Absorb(const wire::Entry& fresh) {
  if (!accept_any && fresh.attr().change() < entry.attr().change()) return false;
  const uint64_t old_content = entry.layout().content_id();
  const bool new_content = old_content != 0 && fresh.layout().content_id() != old_content;
  entry = fresh;
  known = true;
  accept_any = false;
  if (new_content) {
    if (!emptying && taken > published) {
      // Nobody can say which of them came before the truncation.
      cached_version = 0;
      SetError(PosixError(ESTALE, "another mount truncated the file while it was written here"));
    }
    cut = nullptr;
    // What was cut off does not count any more.
    local_size = 0;
    for (const auto& [index, chunk] : chunks) {
      for (Range range : chunk.bytes.ranges()) {
        local_size = std::max(local_size, index * layout().chunk_size_bytes() + range.end);
      }
    }
    // What was acknowledged went to the old content; what is still here goes to the new one.
    for (auto& [index, chunk] : chunks) chunk.abandoned = chunk.in_flight;
    unsynced.clear();
    allocated_delta = 0;
    Dematerialise();
    channel = 0;
    channel_sequence = 0;
  }
  if (!entry.is_inline() || !dirty()) Dematerialise();
  return true;
}

void Inode::AbsorbOwn(const wire::Entry& fresh) {
  const uint64_t before = entry.attr().data_version();
  if (!Absorb(fresh)) return;
  const uint64_t now = entry.attr().data_version();
  if (cached_version == before && now <= before + 1) cached_version = now;
}

void Inode::AbsorbInPassing(const wire::Entry& fresh) {
  Absorb(fresh);
  if (handles == 0 && !dirty()) Strip();
}

void Inode::Pin() {
  absl::MutexLock lock(&mu);
  ++handles;
}

void Inode::Unpin() {
  absl::MutexLock lock(&mu);
  if (--handles == 0 && !dirty()) Strip();
}

void Inode::Dematerialise() {
  materialised = false;
  materialised_bytes = 0;
  above_inline.Clear();
}

void Inode::Strip() {
  known = false;
  by_mapping = false;
  entry.clear_inline_data();
}

wire::Entry Inode::Merged() const {
  wire::Entry merged = entry;
  if (unsent_read.at != absl::InfinitePast()) {
    AccessTimes times = Times();
    times.now = unsent_read.at;
    if (RelatimeIsDue(times)) times.atime = std::max(times.atime, unsent_read.at);
    *merged.mutable_attr()->mutable_atime() = ToWireTime(times.atime);
  }
  if (dirty() || allocated_delta != 0) merged.mutable_attr()->set_blocks(Blocks());
  if (!dirty()) return merged;
  merged.mutable_attr()->set_size(size());
  *merged.mutable_attr()->mutable_mtime() = ToWireTime(local_mtime);
  *merged.mutable_attr()->mutable_ctime() = ToWireTime(local_mtime);
  return merged;
}

AccessTimes Inode::Times() const {
  AccessTimes times{FromWireTime(entry.attr().atime()), FromWireTime(entry.attr().mtime()),
                    FromWireTime(entry.attr().ctime()), absl::InfinitePast()};
  if (dirty()) times.mtime = times.ctime = local_mtime;
  if (unsent_read.is_due) times.atime = std::max(times.atime, unsent_read.at);
  return times;
}

uint64_t Inode::Blocks() const {
  if (reads_inline() && size() <= kInlineLimitBytes) {
    return (size() + kBlockBytes - 1) / kBlockBytes;
  }
  const uint64_t limit = AllocatedLimit(size());
  int64_t bytes = allocated_delta;
  if (!entry.is_inline()) bytes += static_cast<int64_t>(entry.attr().blocks() * kBlockBytes);
  if (reads_inline()) bytes += static_cast<int64_t>(entry.inline_data().size());
  for (const auto& [index, chunk] : chunks) {
    if (bytes >= static_cast<int64_t>(limit)) break;
    bytes += static_cast<int64_t>(chunk.bytes.bytes());
    if (!chunk.abandoned) bytes += static_cast<int64_t>(chunk.sending.bytes());
  }
  const uint64_t taken = std::min(static_cast<uint64_t>(std::max<int64_t>(0, bytes)), limit);
  return (taken + kBlockBytes - 1) / kBlockBytes;
}

int64_t Inode::TakeAllocatedDelta(uint64_t up_to) {
  if (up_to >= size()) return std::exchange(allocated_delta, 0);
  const uint64_t known = entry.is_inline() ? 0 : entry.attr().blocks() * kBlockBytes;
  const uint64_t limit = AllocatedLimit(std::max(up_to, entry.attr().size()));
  const int64_t room = limit > known ? static_cast<int64_t>(limit - known) : 0;
  const int64_t taken = std::min(allocated_delta, room);
  allocated_delta -= taken;
  return taken;
}

std::string Inode::InlineContent() const {
  std::string content = entry.inline_data();
  content.resize(size(), '\0');
  auto it = chunks.find(0);
  if (it != chunks.end()) {
    std::vector<Range> all{{0, static_cast<uint32_t>(content.size())}};
    it->second.bytes.Fill(0, absl::MakeSpan(content), &all);
  }
  return content;
}

void Inode::SetError(absl::Status status) {
  error = std::move(status);
  ++error_number;
}

}  // namespace penstock::client

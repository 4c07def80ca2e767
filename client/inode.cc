#include "client/inode.h"

#include <algorithm>
#include <cerrno>

#include "common/status.h"

namespace penstock::client {

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
  if (!dirty()) return merged;
  if (local_size > merged.attr().size()) {
    merged.mutable_attr()->set_size(local_size);
    merged.mutable_attr()->set_blocks((local_size + 511) / 512);
  }
  *merged.mutable_attr()->mutable_mtime() = ToWireTime(local_mtime);
  *merged.mutable_attr()->mutable_ctime() = ToWireTime(local_mtime);
  return merged;
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

#include "client/file_reader.h"

#include <algorithm>
#include <cstring>

#include "common/status.h"

namespace penstock::client {
namespace {
constexpr int kContentRaces = 16;  // truncations that a read may meet before it gives up
constexpr uint32_t kZeroChunksAtOnce = 256;
}  // namespace

size_t FileReader::ReadLocal(const Inode& inode, uint64_t offset, absl::Span<char> into,
                             FileLayout* layout, std::vector<Missing>* missing) const {
  absl::MutexLock lock(&inode.mu);
  missing->clear();
  const uint64_t size = inode.size();
  if (offset >= size) return 0;
  const size_t n = static_cast<size_t>(std::min<uint64_t>(into.size(), size - offset));
  *layout = inode.layout();
  if (inode.reads_inline()) {
    const std::string& data = inode.entry.inline_data();
    const size_t have = offset < data.size() ? std::min(n, data.size() - offset) : 0;
    std::memcpy(into.data(), data.data() + std::min<uint64_t>(offset, data.size()), have);
    std::memset(into.data() + have, 0, n - have);
  }
  if (inode.chunks.empty() && !inode.reads_inline()) {
    missing->push_back({0, n});
    return n;
  }
  for (const ChunkPiece& piece : SplitByChunk(layout->chunk_size_bytes(), offset, n)) {
    std::vector<Range> ranges{{piece.offset, piece.offset + piece.length}};
    auto it = inode.chunks.find(piece.index);
    if (it != inode.chunks.end()) {
      absl::Span<char> part = into.subspan(piece.at, piece.length);
      it->second.bytes.Fill(piece.offset, part, &ranges);  // the newest first
      if (!it->second.abandoned) it->second.sending.Fill(piece.offset, part, &ranges);
    }
    // While chunk 0 is still inline, chunks above it may be on the servers already.
    if (inode.reads_inline() && piece.index == 0) continue;
    for (Range range : ranges) {
      const uint64_t at = piece.at + (range.begin - piece.offset);
      const uint64_t length = range.end - range.begin;
      if (!missing->empty() && missing->back().at + missing->back().length == at) {
        missing->back().length += length;
      } else {
        missing->push_back({at, length});
      }
    }
  }
  return n;
}

absl::StatusOr<size_t> FileReader::Read(const std::shared_ptr<Inode>& inode, uint64_t offset,
                                        absl::Span<char> into, const OpContext& op) {
  for (int race = 0; race < kContentRaces; ++race) {
    FileLayout layout;
    std::vector<Missing> missing;
    const size_t n = ReadLocal(*inode, offset, into, &layout, &missing);
    bool holes = false;
    for (const Missing& range : missing) {
      ASSIGN_OR_RETURN(
          ReadOutcome outcome,
          chunks_->Read(layout, offset + range.at, into.subspan(range.at, range.length), op));
      holes = holes || outcome.holes;
    }
    if (!holes) return n;
    // The chunks may be gone because another mount gave the file a new content meanwhile.
    ASSIGN_OR_RETURN(bool current, LayoutIsCurrent(*inode, layout.content, op));
    if (current) return n;
  }
  return PosixError(EIO, "read: the file's content kept changing");
}

absl::StatusOr<bool> FileReader::LayoutIsCurrent(Inode& inode, ContentId content,
                                                 const OpContext& op) {
  wire::GetattrRequest request;
  request.set_ino(inode.ino.value());
  ASSIGN_OR_RETURN(wire::EntryResponse response,
                   meta_->Query<wire::EntryResponse>(wire::METHOD_GETATTR, request, op));
  absl::MutexLock lock(&inode.mu);
  const uint64_t before = inode.size();
  inode.Absorb(response.entry());
  return inode.layout().content == content && inode.size() >= before;
}

absl::StatusOr<uint64_t> FileReader::Seek(const std::shared_ptr<Inode>& inode, uint64_t offset,
                                          bool data, const OpContext& op) {
  FileLayout layout;
  uint64_t size = 0;
  {
    absl::MutexLock lock(&inode->mu);
    size = inode->size();
    if (offset >= size) return PosixError(ENXIO, "seek beyond the end");
    // An inline file that has no chunks anywhere is all data.
    if (inode->reads_inline() && size <= kInlineLimitBytes) return data ? offset : size;
    layout = inode->layout();
  }
  const uint64_t chunk_size = layout.chunk_size_bytes();
  while (offset < size) {
    const uint32_t first = static_cast<uint32_t>(offset / chunk_size);
    const uint64_t chunks_left = (size + chunk_size - 1) / chunk_size - first;
    const uint32_t count =
        static_cast<uint32_t>(std::min<uint64_t>(kZeroChunksAtOnce, chunks_left));
    ASSIGN_OR_RETURN(std::vector<StoredChunk> stored, chunks_->Stat(layout, first, count, op));
    for (uint32_t i = 0; i < count; ++i) {
      const uint64_t start = (uint64_t{first} + i) * chunk_size;
      uint64_t data_end = stored[i].exists ? start + stored[i].logical_length : start;
      {
        // Bytes that are still here count as data, and so do holes before them in their chunk.
        absl::MutexLock lock(&inode->mu);
        auto it = inode->chunks.find(first + i);
        if (it != inode->chunks.end()) {
          for (const DirtyBytes* bytes : {&it->second.bytes, &it->second.sending}) {
            if (bytes == &it->second.sending && it->second.abandoned) continue;
            for (Range range : bytes->ranges()) data_end = std::max(data_end, start + range.end);
          }
        }
        if (first + i == 0 && inode->reads_inline()) {
          data_end = std::max<uint64_t>(data_end, inode->entry.inline_data().size());
        }
      }
      data_end = std::min(data_end, size);
      if (data && offset < data_end) return offset;
      if (!data && offset >= data_end) return offset;
      if (!data && data_end < std::min(size, start + chunk_size)) return data_end;
      offset = std::min(size, start + chunk_size);
    }
  }
  if (data) return PosixError(ENXIO, "no data after it");
  return size;
}

}  // namespace penstock::client

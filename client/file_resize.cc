// Truncation (DESIGN.md section 7: log intent and size, cut the chunks, clear the intent) and
// zeroing.
#include <absl/time/clock.h>

#include <algorithm>

#include "client/file_writer.h"
#include "client/wait.h"
#include "common/status.h"

namespace penstock::client {
namespace {
constexpr uint32_t kStatAtOnce = 1024;  // chunks looked at together, to leave absent ones alone
}

absl::StatusOr<wire::Entry> FileWriter::Empty(const InodePtr& inode,
                                              absl::FunctionRef<absl::StatusOr<wire::Entry>()> call,
                                              const OpContext& op) {
  RETURN_IF_ERROR(TakeBusy(*inode, op));
  absl::Status status;
  for (bool flushed = false;; flushed = true) {
    // Content that never left the record keeps its id: chunks sent for it must be known first, so
    // that the metaserver gives a new id and drops them.
    {
      absl::MutexLock lock(&inode->mu);
      if (flushed || !inode->entry.is_inline() || inode->channel_sequence == 0) {
        inode->emptying = true;
        break;
      }
    }
    status = FlushHeld(inode, FlushMode::kPublish, op);
  }
  auto result = status.ok() ? call() : absl::StatusOr<wire::Entry>(status);
  if (result.ok()) {
    absl::MutexLock lock(&inode->mu);
    const bool had_bytes = inode->entry.attr().size() > 0 && inode->known;
    DropUnsent(*inode);
    inode->published = inode->writes;
    inode->local_size = 0;
    inode->failed_from = UINT64_MAX;
    inode->AbsorbOwn(*result);
    inode->unsynced.clear();
    inode->sync_before_publish = inode->sync_before_publish || had_bytes;
    inode->Dematerialise();
    result = inode->Merged();
  }
  {
    absl::MutexLock lock(&inode->mu);
    inode->emptying = false;
  }
  GiveBusy(*inode);
  return result;
}

absl::StatusOr<wire::Entry> FileWriter::SetSize(const InodePtr& inode, wire::SetattrRequest request,
                                                const OpContext& op) {
  if (request.size() == 0) {
    auto set = [&]() -> absl::StatusOr<wire::Entry> {
      ASSIGN_OR_RETURN(wire::SetattrResponse response,
                       Change<wire::SetattrResponse>(*inode, wire::METHOD_SETATTR, request, op));
      return response.entry();
    };
    return Empty(inode, set, op);
  }
  if (request.size() > kInlineLimitBytes) RETURN_IF_ERROR(RefreshInline(*inode, op));
  RETURN_IF_ERROR(TakeBusy(*inode, op));
  {
    // Inline content that grows out of the record by a truncation goes to chunk 0 first.
    absl::MutexLock lock(&inode->mu);
    if (inode->reads_inline() && request.size() > kInlineLimitBytes && inode->size() > 0) {
      Register(inode);
      ++inode->writes;
      inode->local_mtime = absl::Now();
      Materialise(*inode);
    }
  }
  auto result = [&]() -> absl::StatusOr<wire::Entry> {
    RETURN_IF_ERROR(FlushHeld(inode, FlushMode::kPublish, op));
    RETURN_IF_ERROR(CutStray(*inode, op));
    ASSIGN_OR_RETURN(wire::SetattrResponse response,
                     Change<wire::SetattrResponse>(*inode, wire::METHOD_SETATTR, request, op));
    {
      absl::MutexLock lock(&inode->mu);
      inode->AbsorbOwn(response.entry());
      if (response.truncate_intent() != 0) {
        // Until it is done, by whoever comes next or the flusher, the file does not grow.
        Register(inode);
        inode->cut = std::make_shared<const UnfinishedCut>(
            UnfinishedCut{response, request.size(), session_()});
      }
    }
    RETURN_IF_ERROR(FinishCut(*inode, op));
    absl::MutexLock lock(&inode->mu);
    return inode->Merged();
  }();
  GiveBusy(*inode);
  return result;
}

absl::Status FileWriter::FinishCut(Inode& inode, const OpContext& op) {
  std::shared_ptr<const UnfinishedCut> cut;
  {
    absl::MutexLock lock(&inode.mu);
    cut = inode.cut;
  }
  if (cut == nullptr) return absl::OkStatus();
  RETURN_IF_ERROR(CutChunks(inode, cut->recorded, cut->size, op));
  absl::MutexLock lock(&inode.mu);
  if (inode.cut == cut) inode.cut = nullptr;
  return absl::OkStatus();
}

absl::Status FileWriter::CutStray(Inode& inode, const OpContext& op) {
  FileLayout layout;
  uint64_t size = 0;
  uint64_t end = 0;
  {
    absl::MutexLock lock(&inode.mu);
    if (inode.stray_end == 0 || inode.dirty() || !inode.chunks.empty()) return absl::OkStatus();
    layout = inode.layout();
    size = inode.entry.attr().size();
    end = inode.stray_end;
    // Where others write, too, it is theirs to say what lies beyond the size.
    if (inode.stray_content != layout.content || end <= size || inode.shared ||
        inode.entry.other_writers()) {
      inode.stray_end = 0;
      return absl::OkStatus();
    }
    inode.emptying = true;  // nothing that is written meanwhile goes there
  }
  const absl::Status status = CutRange(inode, layout, size, end, op);
  absl::MutexLock lock(&inode.mu);
  inode.emptying = false;
  if (status.ok()) inode.stray_end = 0;
  return status;
}

absl::Status FileWriter::CutRange(Inode& inode, const FileLayout& layout, uint64_t size,
                                  uint64_t old_size, const OpContext& op) {
  const uint64_t chunk_size = layout.chunk_size_bytes();
  const uint32_t boundary = static_cast<uint32_t>(size / chunk_size);
  const uint64_t end = (old_size + chunk_size - 1) / chunk_size;
  for (uint64_t first = boundary; first < end; first += kStatAtOnce) {
    const uint32_t count = static_cast<uint32_t>(std::min<uint64_t>(kStatAtOnce, end - first));
    ASSIGN_OR_RETURN(std::vector<StoredChunk> stored,
                     chunks_->Stat(layout, static_cast<uint32_t>(first), count, op));
    std::vector<ChunkCut> cuts;
    {
      absl::MutexLock lock(&inode.mu);
      inode.session = session_();
      for (uint32_t i = 0; i < count; ++i) {
        const uint32_t index = static_cast<uint32_t>(first) + i;
        const uint32_t keep = index == boundary ? static_cast<uint32_t>(size % chunk_size) : 0;
        if (!stored[i].exists || (keep > 0 && stored[i].logical_length <= keep)) continue;
        cuts.push_back({index, keep > 0 ? wire::CHANGE_TRUNCATE : wire::CHANGE_DELETE, keep, 0,
                        NextStamp(inode)});
      }
    }
    ASSIGN_OR_RETURN(std::vector<ChunkChanged> changed, chunks_->Change(layout, cuts, op));
    absl::MutexLock lock(&inode.mu);
    for (size_t i = 0; i < cuts.size(); ++i) {
      inode.allocated_delta += changed[i].length_delta;
      inode.unsynced.erase(cuts[i].index);
      if (cuts[i].change == wire::CHANGE_TRUNCATE) {
        inode.unsynced[cuts[i].index] = changed[i].version;
      }
    }
  }
  return absl::OkStatus();
}

absl::Status FileWriter::CutChunks(Inode& inode, const wire::SetattrResponse& response,
                                   uint64_t size, const OpContext& op) {
  RETURN_IF_ERROR(CutRange(inode, LayoutOf(response.truncate_layout()), size,
                           response.truncate_old_size(), op));
  wire::TruncateDoneRequest done;
  done.set_ino(inode.ino.value());
  done.set_truncate_intent(response.truncate_intent());
  {
    absl::MutexLock lock(&inode.mu);
    done.set_allocated_delta(inode.TakeAllocatedDelta(size));
  }
  auto answer = Change<wire::TruncateDoneResponse>(inode, wire::METHOD_TRUNCATE_DONE, done, op);
  absl::MutexLock lock(&inode.mu);
  if (!answer.ok()) {
    inode.allocated_delta += done.allocated_delta();
    return answer.status();
  }
  inode.AbsorbOwn(answer->entry());
  return absl::OkStatus();
}

absl::Status FileWriter::Zero(const InodePtr& inode, uint64_t offset, uint64_t length,
                              const OpContext& op) {
  uint64_t end = 0;
  bool small = false;
  {
    absl::MutexLock lock(&inode->mu);
    end = std::min(inode->size(), offset + length);
    small = inode->reads_inline() && inode->size() <= kInlineLimitBytes;
  }
  if (offset >= end) return absl::OkStatus();
  if (small) {
    return Gather(inode, {offset, false}, std::string(end - offset, '\0'), op).status();
  }
  RETURN_IF_ERROR(TakeBusy(*inode, op));
  absl::Status status = FlushHeld(inode, FlushMode::kPublish, op);
  if (status.ok()) status = ZeroChunks(*inode, offset, end, op);
  if (status.ok()) {
    absl::MutexLock lock(&inode->mu);
    Register(inode);
    ++inode->writes;
    inode->local_mtime = absl::Now();
  }
  GiveBusy(*inode);
  return status;
}

absl::Status FileWriter::ZeroChunks(Inode& inode, uint64_t offset, uint64_t end,
                                    const OpContext& op) {
  FileLayout layout;
  {
    absl::MutexLock lock(&inode.mu);
    layout = inode.layout();
  }
  const uint64_t chunk_size = layout.chunk_size_bytes();
  for (uint64_t at = offset; at < end;) {
    const uint32_t first = static_cast<uint32_t>(at / chunk_size);
    const uint64_t stop = std::min(end, (uint64_t{first} + kStatAtOnce) * chunk_size);
    const uint32_t count = static_cast<uint32_t>((stop + chunk_size - 1) / chunk_size - first);
    ASSIGN_OR_RETURN(std::vector<StoredChunk> stored, chunks_->Stat(layout, first, count, op));
    std::vector<ChunkCut> cuts;
    {
      absl::MutexLock lock(&inode.mu);
      inode.session = session_();
      for (const ChunkPiece& piece : SplitByChunk(chunk_size, at, stop - at)) {
        const StoredChunk& chunk = stored[piece.index - first];
        if (!chunk.exists || chunk.logical_length <= piece.offset) continue;
        // A chunk's whole rest is cut off: it reads as zeros and takes no space.
        const bool rest = piece.offset + piece.length >= chunk.logical_length;
        cuts.push_back({piece.index, rest ? wire::CHANGE_TRUNCATE : wire::CHANGE_ZERO, piece.offset,
                        rest ? 0 : piece.length, NextStamp(inode)});
      }
    }
    ASSIGN_OR_RETURN(std::vector<ChunkChanged> changed, chunks_->Change(layout, cuts, op));
    absl::MutexLock lock(&inode.mu);
    for (size_t i = 0; i < cuts.size(); ++i) {
      inode.allocated_delta += changed[i].length_delta;
      inode.unsynced[cuts[i].index] = changed[i].version;
    }
    at = stop;
  }
  return absl::OkStatus();
}

}  // namespace penstock::client

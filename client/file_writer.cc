// Gathering written bytes and sending chunks. Publishing is in file_flush.cc, truncation in
// file_resize.cc.
#include "client/file_writer.h"

#include <absl/time/clock.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "client/wait.h"
#include "common/status.h"

namespace penstock::client {
namespace {
constexpr absl::Duration kFlusherPause = absl::Milliseconds(500);
}

FileWriter::FileWriter(MetaApi* meta, ChunkApi* chunks, std::function<SessionId()> session,
                       FileWriterOptions options)
    : meta_(meta),
      chunks_(chunks),
      session_(std::move(session)),
      options_(options),
      memory_(options.dirty_limit_bytes),
      senders_({.name = "chunk-writer", .threads = options.writer_threads, .queue_limit = 100'000}),
      next_channel_(options.next_channel != nullptr ? options.next_channel : &own_channel_) {}

FileWriter::~FileWriter() { Stop(); }

void FileWriter::Start() {
  senders_.Start();
  flusher_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "flusher");
    Run();
  });
}

void FileWriter::Stop() {
  stop_.Fire();
  if (flusher_.joinable()) flusher_.join();
  senders_.Stop();
}

absl::StatusOr<uint64_t> FileWriter::Gather(const InodePtr& inode, WriteAt at,
                                            std::string_view data, const OpContext& op) {
  uint64_t chunk_size = 0;
  uint64_t offset = at.offset;
  bool beyond_cut = false;  // or what failed writes have left there
  {
    absl::MutexLock lock(&inode->mu);
    RETURN_IF_ERROR(CheckShared(*inode, op));
    // The kernel knows an end of the file that others may have moved.
    if (at.append) offset = inode->size();
    chunk_size = inode->layout().chunk_size_bytes();
    beyond_cut = (inode->cut != nullptr && offset + data.size() > inode->cut->size) ||
                 (inode->stray_end != 0 && offset + data.size() > inode->entry.attr().size());
  }
  if (beyond_cut) {
    // Else bytes that a truncation cut off would be seen again before these.
    RETURN_IF_ERROR(TakeBusy(*inode, op));
    absl::Status status = FinishCut(*inode, op);
    if (status.ok()) status = CutStray(*inode, op);
    GiveBusy(*inode);
    RETURN_IF_ERROR(status);
  }
  if (offset + data.size() > chunk_size << 32 || offset + data.size() < offset) {
    return PosixError(EFBIG, "write beyond the largest file");
  }
  for (const ChunkPiece& piece : SplitByChunk(chunk_size, offset, data.size())) {
    RETURN_IF_ERROR(ReserveMemory(inode, piece.length, op));
    bool post = false;
    uint64_t overwritten = 0;
    {
      absl::MutexLock lock(&inode->mu);
      absl::Status refused = CheckShared(*inode, op);
      if (refused.ok() && inode->must_reopen() && !inode->dirty()) {
        refused = PosixError(EIO, "the session was lost");  // since the call has looked
      }
      if (!refused.ok()) {
        memory_.Release(piece.length);
        return refused;
      }
      DirtyChunk& chunk = inode->chunks[piece.index];
      Register(inode);
      ++inode->writes;
      if (chunk.bytes.empty()) chunk.first_write = inode->writes;
      const uint64_t before = chunk.bytes.bytes();
      chunk.bytes.Write(piece.offset, data.substr(piece.at, piece.length));
      NoteAboveInline(*inode, offset + piece.at, data.substr(piece.at, piece.length));
      overwritten = before + piece.length - chunk.bytes.bytes();
      inode->local_size = std::max(inode->local_size, offset + piece.at + piece.length);
      inode->local_mtime = absl::Now();
      if (piece.offset + piece.length == chunk_size) {  // a sequential writer goes on to the next
        post = !chunk.wanted && !chunk.in_flight;
        chunk.wanted = true;
      }
    }
    memory_.Release(overwritten);
    if (post) Post(inode, piece.index);
  }
  if (memory_.used() > memory_.limit() / 2) QueueSends(inode);
  return offset;
}

void FileWriter::Register(const InodePtr& inode) {
  if (inode->dirty() && inode->registered) return;
  if (!inode->dirty()) {
    inode->dirty_since = absl::Now();
    inode->session = session_();
  }
  inode->registered = true;
  absl::MutexLock lock(&mu_);
  dirty_[inode->ino] = inode;
}

absl::Status FileWriter::ReserveMemory(const InodePtr& inode, uint64_t bytes, const OpContext& op) {
  if (memory_.TryReserve(bytes)) return absl::OkStatus();
  QueueSends(inode);
  for (const InodePtr& other : DirtyInodes()) QueueSends(other);
  pressure_ = true;
  return Annotate(memory_.Reserve(bytes, options_.io_timeout * 2, op), "memory for written bytes");
}

// Sends every chunk that has bytes, without waiting. Inline content stays for the flush.
void FileWriter::QueueSends(const InodePtr& inode) {
  std::vector<uint32_t> indexes;
  {
    absl::MutexLock lock(&inode->mu);
    if (inode->reads_inline() && inode->size() <= kInlineLimitBytes) return;
    for (auto& [index, chunk] : inode->chunks) {
      if (chunk.bytes.empty() || chunk.wanted) continue;
      chunk.wanted = true;
      if (!chunk.in_flight) indexes.push_back(index);
    }
  }
  for (uint32_t index : indexes) Post(inode, index);
}

void FileWriter::Post(const InodePtr& inode, uint32_t index) {
  auto send = [this, inode, index] { (void)SendChunk(inode, index, OpContext{}); };
  if (!senders_.Post(send)) (void)SendChunk(inode, index, OpContext{});
}

WriteStamp FileWriter::NextStamp(Inode& inode) {
  if (inode.channel == 0) inode.channel = next_channel_->fetch_add(1);
  return {inode.session, inode.channel, ++inode.channel_sequence};
}

// The inline content becomes bytes to write of chunk 0, below what was written over it. Once more
// when another mount changed it meanwhile: then below what was sent from here already, too.
void FileWriter::Materialise(Inode& inode) {
  const bool again = std::exchange(inode.materialised, true);
  if (auto it = inode.chunks.find(0); !again && it != inode.chunks.end()) {
    for (const DirtyBytes* bytes : {&it->second.sending, &it->second.bytes}) {
      if (bytes == &it->second.sending && it->second.abandoned) continue;
      for (Range range : bytes->ranges()) NoteAboveInline(inode, range.begin, bytes->Data(range));
    }
  }
  inode.materialised_version = inode.entry.attr().data_version();
  std::string content = inode.entry.inline_data();
  content.resize(std::max(content.size(), inode.materialised_bytes), '\0');
  inode.materialised_bytes = content.size();
  if (content.empty()) return;
  std::vector<Range> all{{0, static_cast<uint32_t>(content.size())}};
  inode.above_inline.Fill(0, absl::MakeSpan(content), &all);
  DirtyChunk& chunk = inode.chunks[0];
  const uint64_t before = chunk.bytes.bytes();
  chunk.first_write = inode.published + 1;  // every flush from now on needs it
  chunk.bytes.FillBelow(0, content);
  memory_.Force(chunk.bytes.bytes() - before);
}

void FileWriter::NoteAboveInline(Inode& inode, uint64_t offset, std::string_view data) {
  if (!inode.materialised || !inode.entry.is_inline() || offset >= kInlineLimitBytes) return;
  inode.above_inline.Write(static_cast<uint32_t>(offset),
                           data.substr(0, kInlineLimitBytes - offset));
}

// Moves the chunk's bytes to `sending`. False: nothing to send now.
bool FileWriter::TakeForSending(Inode& inode, uint32_t index, FileLayout* layout,
                                std::vector<ChunkPut>* puts) {
  absl::MutexLock lock(&inode.mu);
  auto it = inode.chunks.find(index);
  if (it == inode.chunks.end()) return false;
  if (it->second.in_flight) {
    it->second.wanted = true;  // its sender goes on with it
    return false;
  }
  if (inode.emptying) {  // the chunk waits for the next flush, if it is still there
    it->second.wanted = false;
    return false;
  }
  if (index == 0 && inode.reads_inline()) {
    Materialise(inode);
    it = inode.chunks.find(index);
  }
  DirtyChunk& chunk = it->second;
  chunk.wanted = false;
  if (chunk.bytes.empty() || inode.failed_from != UINT64_MAX) {
    if (!chunk.bytes.empty()) {
      const uint64_t start = index * inode.layout().chunk_size_bytes();
      inode.failed_from = std::min(inode.failed_from, start + chunk.bytes.ranges().front().begin);
    }
    if (!chunk.bytes.empty() && index == 0) inode.Dematerialise();
    memory_.Release(chunk.bytes.bytes());
    inode.chunks.erase(it);
    return false;
  }
  chunk.in_flight = true;
  chunk.abandoned = false;
  chunk.sending = std::move(chunk.bytes);
  chunk.first_sending = chunk.first_write;
  inode.taken = inode.writes;
  *layout = inode.layout();
  for (Range range : chunk.sending.ranges()) {
    puts->push_back({index, range.begin, chunk.sending.Data(range), NextStamp(inode)});
  }
  return true;
}

// EINTR puts the bytes back; any other failure drops them and becomes the inode's error.
absl::Status FileWriter::SendChunk(const InodePtr& inode, uint32_t index, const OpContext& op) {
  if (index == 0 && ErrnoOf(RefreshInline(*inode, op)) == EINTR) {
    absl::MutexLock lock(&inode->mu);
    if (auto it = inode->chunks.find(0); it != inode->chunks.end()) it->second.wanted = false;
    return PosixError(EINTR, "interrupted");
  }
  while (true) {
    FileLayout layout;
    std::vector<ChunkPut> puts;
    if (!TakeForSending(*inode, index, &layout, &puts)) return absl::OkStatus();
    absl::Status status;
    ChunkVersion version;
    int64_t length_delta = 0;
    uint32_t failed_at = 0;
    for (const ChunkPut& put : puts) {
      auto written = chunks_->Write(layout, put, op);
      if (!written.ok()) {
        status = written.status();
        failed_at = put.offset;
        break;
      }
      version = written->version;
      length_delta += written->length_delta;
    }
    uint64_t done_bytes = 0;
    bool again = false;
    {
      absl::MutexLock lock(&inode->mu);
      DirtyChunk& chunk = inode->chunks[index];
      chunk.in_flight = false;
      const bool same_content = !chunk.abandoned;
      if (ErrnoOf(status) == EINTR && same_content) {
        const uint64_t held = chunk.sending.bytes() + chunk.bytes.bytes();
        for (Range range : chunk.bytes.ranges()) {
          chunk.sending.Write(range.begin, chunk.bytes.Data(range));
        }
        chunk.bytes = std::move(chunk.sending);
        chunk.first_write = chunk.first_sending;
        done_bytes = held - chunk.bytes.bytes();
      } else {
        done_bytes = chunk.sending.bytes();
        chunk.sending.Clear();
      }
      if (same_content) inode->allocated_delta += length_delta;
      if (status.ok() && same_content) inode->unsynced[index] = version;
      if (!status.ok() && ErrnoOf(status) != EINTR && same_content) {
        inode->failed_from =
            std::min(inode->failed_from, index * layout.chunk_size_bytes() + failed_at);
        inode->SetError(status);
        if (index == 0) inode->Dematerialise();
      }
      if (ErrnoOf(status) == EINTR) chunk.wanted = false;  // nobody sends it now
      again = chunk.wanted;
      if (!again && chunk.bytes.empty()) inode->chunks.erase(index);
      memory_.Release(done_bytes);
    }
    if (!status.ok() && ErrnoOf(status) != EINTR) {
      SPDLOG_WARN("chunk not written ino={} index={} error={}", inode->ino.value(), index,
                  status.ToString());
    }
    if (!again) return status;
  }
}

// What is in flight ends by itself.
void FileWriter::DropUnsent(Inode& inode) {
  for (auto it = inode.chunks.begin(); it != inode.chunks.end();) {
    memory_.Release(it->second.bytes.bytes());
    it->second.bytes.Clear();
    it->second.wanted = false;
    it = it->second.in_flight ? std::next(it) : inode.chunks.erase(it);
  }
}

void FileWriter::LoseSession(SessionId lost) {
  for (const InodePtr& inode : DirtyInodes()) {
    absl::MutexLock lock(&inode->mu);
    if (inode->cut != nullptr && inode->cut->session == lost) inode->cut = nullptr;  // its server's
    if (!inode->dirty() || inode->session != lost) continue;
    SPDLOG_ERROR("written bytes lost with the session ino={} size_bytes={}", inode->ino.value(),
                 inode->size());
    DropUnsent(*inode);
    inode->Dematerialise();
    inode->SetError(PosixError(EIO, "the session was lost before the bytes were written"));
    inode->published = inode->writes;
    inode->local_size = 0;
    inode->cached_version = 0;
    inode->channel = 0;
    inode->allocated_delta = 0;
  }
}

std::vector<FileWriter::InodePtr> FileWriter::DirtyInodes() const {
  absl::MutexLock lock(&mu_);
  std::vector<InodePtr> all;
  for (const auto& [ino, inode] : dirty_) all.push_back(inode);
  return all;
}

void FileWriter::Run() {
  const OpContext op{.credentials = {}, .thread = 0, .interrupt = &stop_};
  while (SleepFor(kFlusherPause, op).ok()) FlushOld();
}

// Bytes do not wait for a close that may be hours away.
void FileWriter::FlushOld() {
  const OpContext op{.credentials = {}, .thread = 0, .interrupt = &stop_};
  const bool all = pressure_.exchange(false);
  for (const InodePtr& inode : DirtyInodes()) {
    if (stop_.fired()) return;
    {
      absl::MutexLock lock(&inode->mu);
      if (inode->busy) continue;  // its holder takes it off the list when it may go
      if (inode->dirty()) {
        if (!all && absl::Now() - inode->dirty_since < options_.dirty_age) continue;
      } else if (!inode->chunks.empty() && inode->cut == nullptr) {
        continue;
      }
    }
    absl::Status status = Flush(inode, FlushMode::kPublish, op);
    if (!status.ok() && !stop_.fired()) {
      SPDLOG_WARN("file not flushed ino={} error={}", inode->ino.value(), status.ToString());
    }
    absl::MutexLock lock(&inode->mu);
    if (inode->dirty()) {
      inode->dirty_since = absl::Now();  // not again at once
    }
  }
}

}  // namespace penstock::client

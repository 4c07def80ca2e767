// FileWriter takes written bytes, gathers them into whole chunks, and brings them to the servers in
// the background; then it publishes size and times at the metaserver. Thread-safe.
//
// Order, always: the bytes on every in-sync member, then (for what must be durable) on their disks,
// then the metaserver's record. A crash in between leaves bytes that no size reaches, never a size
// without bytes.
//
// An inline file's bytes stay here until the flush and go into the record in one call; when the
// file grows, or others write it too, its inline content goes into chunk 0 first (DESIGN.md section
// 7).
//
// A file that others use too is *shared* (DESIGN.md section 7): each write takes the file's turn at
// the metaserver, is sent and published before it is answered, and gives the turn back. Writes that
// were kept back when the file became shared are published first.
//
// Locks: an Inode's `mu` is never held over a call. Its `busy` flag admits one flush, sync or
// truncation at a time; writes go on meanwhile.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/functional/function_ref.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "client/chunk_api.h"
#include "client/dirty_memory.h"
#include "client/entry_cache.h"
#include "client/inode.h"
#include "client/meta_api.h"
#include "common/worker_pool.h"

namespace penstock::client {

struct FileWriterOptions {
  absl::Duration io_timeout = absl::Seconds(60);
  uint64_t dirty_limit_bytes = 256ull << 20;
  absl::Duration dirty_age = absl::Seconds(5);  // older bytes are flushed by themselves
  int writer_threads = 8;                       // chunks on their way at once
  // The next channel of this session; nullptr: counted here. A client that goes on with the session
  // of one that died must not use its channels again.
  std::atomic<uint32_t>* next_channel = nullptr;
  EntryCache* cache = nullptr;  // told of what is published; may be null
};

enum class FlushMode {
  kPublish,       // close: on every in-sync member, then published
  kDurableBytes,  // before a rename over another file: the bytes are on disk too
  kDurable,       // fsync: bytes and record are on disk
};

class FileWriter {
 public:
  using InodePtr = std::shared_ptr<Inode>;

  // `meta`, `chunks` and what `session` uses must outlive the writer.
  FileWriter(MetaApi* meta, ChunkApi* chunks, std::function<SessionId()> session,
             FileWriterOptions options);
  ~FileWriter();
  void Start();
  void Stop();  // does not flush: FlushAll() first

  // Where the bytes went: `offset`, or the file's end with `append`.
  struct WriteAt {
    uint64_t offset = 0;
    bool append = false;
  };
  absl::StatusOr<uint64_t> WriteBytes(const InodePtr& inode, WriteAt at, std::string_view data,
                                      const OpContext& op);
  absl::Status Write(const InodePtr& inode, uint64_t offset, std::string_view data,
                     const OpContext& op) {
    return WriteBytes(inode, {offset, false}, data, op).status();
  }
  // The file is shared from now on. What was kept back is published when it returns.
  void BecomeShared(const InodePtr& inode, const OpContext& op);
  // Runs `change` with the file's turn when it is shared, else without; and again with it when it
  // turns out to be shared.
  absl::Status InTurn(const InodePtr& inode, const OpContext& op,
                      absl::FunctionRef<absl::Status(const OpContext& op)> change);
  // OK: everything written before the call is where `mode` says. A failure is also set as the
  // inode's error, unless it is EINTR.
  absl::Status Flush(const InodePtr& inode, FlushMode mode, const OpContext& op);
  void FlushAll(const OpContext& op);

  // Changes the size; other attributes of the request go along. Not for growth that a write makes.
  absl::StatusOr<wire::Entry> SetSize(const InodePtr& inode, wire::SetattrRequest request,
                                      const OpContext& op);
  // Runs `call`, which gives the file a new, empty content at the metaserver, and forgets what was
  // written here before it.
  absl::StatusOr<wire::Entry> Empty(const InodePtr& inode,
                                    absl::FunctionRef<absl::StatusOr<wire::Entry>()> call,
                                    const OpContext& op);
  // Makes [offset, offset + length) read as zeros, up to the file's end.
  absl::Status Zero(const InodePtr& inode, uint64_t offset, uint64_t length, const OpContext& op);

  // Nothing that was written under `lost` can be written any more.
  void LoseSession(SessionId lost);
  const DirtyMemory& memory() const { return memory_; }

 private:
  struct Snapshot {  // of what a flush covers
    uint64_t writes = 0;
    uint64_t size = 0;
    bool dirty = false;
    bool stay_inline = false;
    SessionId session;  // under which all of it was written
  };
  // file_writer.cc: gathering and sending
  void Register(const InodePtr& inode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(inode->mu);
  absl::Status ReserveMemory(const InodePtr& inode, uint64_t bytes, const OpContext& op);
  void QueueSends(const InodePtr& inode);
  void Post(const InodePtr& inode, uint32_t index);
  absl::Status SendChunk(const InodePtr& inode, uint32_t index, const OpContext& op);
  bool TakeForSending(Inode& inode, uint32_t index, FileLayout* layout,
                      std::vector<ChunkPut>* puts);
  void Materialise(Inode& inode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(inode.mu);
  static void NoteAboveInline(Inode& inode, uint64_t offset, std::string_view data)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(inode.mu);
  WriteStamp NextStamp(Inode& inode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(inode.mu);
  void DropUnsent(Inode& inode) ABSL_EXCLUSIVE_LOCKS_REQUIRED(inode.mu);
  void Run();
  void FlushOld();

  // file_flush.cc: publishing
  absl::Status TakeBusy(Inode& inode, const OpContext& op);
  void GiveBusy(Inode& inode);
  Snapshot Look(const Inode& inode) const;
  absl::Status FlushHeld(const InodePtr& inode, FlushMode mode, const OpContext& op);
  absl::Status PublishInline(const InodePtr& inode, Snapshot now, FlushMode mode,
                             const OpContext& op);
  absl::Status PublishChunks(const InodePtr& inode, Snapshot now, FlushMode mode,
                             const OpContext& op);
  absl::Status SendAll(const InodePtr& inode, uint64_t writes, const OpContext& op);
  absl::Status SyncUnsynced(Inode& inode, const OpContext& op);
  absl::Status Refresh(Inode& inode, const OpContext& op);
  // Before inline content goes to chunk 0: another mount may have put newer bytes there.
  absl::Status RefreshInline(Inode& inode, const OpContext& op);
  void Published(Inode& inode, const Snapshot& now, const wire::Entry& entry)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(inode.mu);
  std::vector<InodePtr> DirtyInodes() const;

  // file_turn.cc
  absl::StatusOr<bool> AskInTurn(Inode& inode, const OpContext& op);
  absl::Status TakeTurn(const InodePtr& inode, const OpContext& op);
  void EndTurn(Inode& inode);
  absl::Status CheckShared(const Inode& inode, const OpContext& op) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(inode.mu);
  absl::StatusOr<uint64_t> Gather(const InodePtr& inode, WriteAt at, std::string_view data,
                                  const OpContext& op);
  // One call that changes the file's record at the metaserver.
  template <typename Response, typename Request>
  absl::StatusOr<Response> Change(Inode& inode, wire::Method method, Request request,
                                  const OpContext& op) {
    CacheChange change(options_.cache, {}, {inode.ino});
    change.Declare(request);
    auto response = meta_->Mutate<Response>(method, std::move(request), op);
    if (response.ok()) change.IsNow(response->entry());
    return response;
  }

  // file_resize.cc
  absl::Status FinishCut(Inode& inode, const OpContext& op);  // held busy
  // Cuts off what failed writes left beyond the size, unless newer bytes lie there already. Held
  // busy.
  absl::Status CutStray(Inode& inode, const OpContext& op);
  // Cuts the chunks of a file that was so long down to `size`.
  absl::Status CutRange(Inode& inode, const FileLayout& layout, uint64_t size, uint64_t old_size,
                        const OpContext& op);
  absl::Status CutChunks(Inode& inode, const wire::SetattrResponse& response, uint64_t size,
                         const OpContext& op);
  absl::Status ZeroChunks(Inode& inode, uint64_t offset, uint64_t end, const OpContext& op);

  MetaApi* const meta_;
  ChunkApi* const chunks_;
  const std::function<SessionId()> session_;
  const FileWriterOptions options_;
  DirtyMemory memory_;
  WorkerPool senders_;
  std::atomic<uint32_t> own_channel_{1};
  std::atomic<uint32_t>* const next_channel_;
  net::Interrupt stop_;
  std::thread flusher_;
  std::atomic<bool> pressure_{false};  // memory is short: flush whatever is dirty

  mutable absl::Mutex mu_;  // after an Inode's; never held over a call
  absl::flat_hash_map<InodeNumber, InodePtr> dirty_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::client

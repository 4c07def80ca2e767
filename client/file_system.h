// FileSystem is the mounted file system without FUSE: POSIX operations on inodes and handles. One
// file an operation in client/ops/. Thread-safe; every operation may wait for servers, up to the
// I/O timeout (EIO) or until `op.interrupt` fires (EINTR).
//
// Names and attributes are exact (EntryCache): what any mount changed is seen at once. Data is
// close-to-open, and at once where the file is open on both sides and its writer has published it;
// the kernel keeps a file's pages while its data_version is unchanged.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/client_options.h"
#include "client/directory_reader.h"
#include "client/entry_cache.h"
#include "client/file_reader.h"
#include "client/file_writer.h"
#include "client/fresh_lookups.h"
#include "client/hold_table.h"
#include "client/inode_table.h"
#include "client/kernel_cache.h"
#include "client/listing_prefetch.h"
#include "client/lock_table.h"
#include "client/lock_waits.h"
#include "client/lost_names.h"
#include "client/page_drops.h"
#include "client/read_times.h"
#include "client/session.h"
#include "client/writer_threads.h"
#include "common/clock.h"

namespace penstock::client {

// One open(): what its own file description must remember.
struct FileHandle {
  std::shared_ptr<Inode> inode;
  uint64_t number = 0;  // never given twice
  bool write = false;
  bool append = false;      // each write goes to the end that the file has then
  bool keep_cache = false;  // the kernel's pages are still right
  bool no_atime = false;    // O_NOATIME
  uint64_t seen_error = 0;  // errors up to this number were reported here
  mutable WriterThreads writers;
};

struct OpenFlags {
  bool read = false;
  bool write = false;
  bool truncate = false;
  bool exclusive = false;
  bool append = false;
};

struct EntryName {
  InodeNumber parent;
  std::string_view name;
};

// What a lookup found.
struct Looked {
  wire::Entry entry;         // leased_by is set when it is cached here; no ino: no such name
  bool name_cached = false;  // a change of the name will be heard of
};

struct CreatedFile {
  wire::Entry entry;
  std::unique_ptr<FileHandle> handle;
};

class FileSystem {
 public:
  // All pointers must outlive the file system.
  FileSystem(MetaApi* meta, ChunkApi* chunks, HoldTable* holds, FileWriter* writer,
             EntryCache* cache, Clock* clock, ClientOptions options);
  // Before the first event; null: no kernel.
  void SetKernelCache(KernelCache* kernel) { kernel_ = kernel; }

  // Before the first request, of a mount that another client served before: the kernel may have
  // pages of any file.
  void ExpectPages() { inodes_.ExpectPages(); }

  // Names.
  absl::StatusOr<Looked> Lookup(EntryName name, const OpContext& op);
  absl::StatusOr<CreatedFile> Create(EntryName name, uint32_t mode, OpenFlags flags,
                                     const OpContext& op);
  absl::StatusOr<wire::Entry> Mkdir(EntryName name, uint32_t mode, const OpContext& op);
  absl::StatusOr<wire::Entry> Mknod(EntryName name, uint32_t mode, uint64_t rdev,
                                    const OpContext& op);
  absl::StatusOr<wire::Entry> Symlink(EntryName name, std::string_view target, const OpContext& op);
  absl::StatusOr<std::string> Readlink(InodeNumber ino, const OpContext& op);
  absl::StatusOr<wire::Entry> Link(InodeNumber ino, EntryName name, const OpContext& op);
  absl::Status Unlink(EntryName name, const OpContext& op);
  absl::Status Rmdir(EntryName name, const OpContext& op);
  absl::Status Rename(EntryName from, EntryName to, uint32_t flags, const OpContext& op);

  // Attributes.
  absl::StatusOr<wire::Entry> Getattr(InodeNumber ino, const OpContext& op);
  absl::StatusOr<wire::Entry> Setattr(wire::SetattrRequest request, const OpContext& op);
  absl::StatusOr<wire::StatfsResponse> Statfs(const OpContext& op);
  absl::StatusOr<std::string> Getxattr(InodeNumber ino, std::string_view name, const OpContext& op);
  absl::StatusOr<std::vector<std::string>> Listxattr(InodeNumber ino, const OpContext& op);
  absl::Status Setxattr(wire::SetxattrRequest request, const OpContext& op);
  absl::Status Removexattr(InodeNumber ino, std::string_view name, const OpContext& op);

  // Files.
  absl::StatusOr<std::unique_ptr<FileHandle>> Open(InodeNumber ino, OpenFlags flags,
                                                   const OpContext& op);
  absl::StatusOr<size_t> Read(const FileHandle& handle, uint64_t offset, absl::Span<char> into,
                              const OpContext& op);
  absl::Status Write(const FileHandle& handle, uint64_t offset, std::string_view data,
                     const OpContext& op);
  absl::Status Flush(FileHandle& handle, const OpContext& op);  // each close(2)
  absl::Status Fsync(FileHandle& handle, const OpContext& op);
  void Release(std::unique_ptr<FileHandle> handle);  // the last close
  absl::Status Fallocate(const FileHandle& handle, int mode, uint64_t offset, uint64_t length,
                         const OpContext& op);
  absl::StatusOr<uint64_t> Seek(const FileHandle& handle, uint64_t offset, int whence,
                                const OpContext& op);
  struct CopyRange {
    const FileHandle* from = nullptr;
    uint64_t from_offset = 0;
    const FileHandle* to = nullptr;
    uint64_t to_offset = 0;
    uint64_t length = 0;
  };
  absl::StatusOr<uint64_t> CopyFileRange(const CopyRange& range, const OpContext& op);

  // Locks: `lock` names the kernel's owner; handle and file are filled in here. Waiting has no
  // thread: see lock_waits.h.
  absl::Status SetLock(const FileHandle& handle, wire::FileLock lock, const OpContext& op);
  struct LockWait {
    bool queued = false;  // else it is over: `status`
    uint64_t ticket = 0;  // for LockWaits::Park and Interrupt
    absl::Status status;
  };
  LockWait BeginLock(const FileHandle& handle, wire::FileLock lock, const OpContext& op);
  absl::StatusOr<wire::GetLockResponse> GetLock(const FileHandle& handle, wire::FileLock lock,
                                                const OpContext& op);
  // At each close: ends the fcntl locks of the process that closes.
  void ReleaseOwner(const FileHandle& handle, uint64_t owner);
  // What an earlier client of this session had locked.
  void TakeOverLocks(const wire::ResumeSessionResponse& held);
  // Whether the file, as far as is known here, has set-user-id or set-group-id.
  bool HasSetIds(const FileHandle& handle) const;
  // Clears those that a change of the bytes by this caller, who is not root, must not leave.
  absl::Status ClearSetIds(const FileHandle& handle, const OpContext& op);
  // Takes the capabilities of a program from the file.
  absl::Status ClearCapability(const FileHandle& handle, const OpContext& op);
  // Cuts a file to the size that it has, since an earlier client was doing so when it died.
  absl::Status TruncateAnew(InodeNumber ino, const OpContext& op);
  // The last close of a handle that was opened by an earlier client and not used since.
  void ReleaseLocksOf(InodeNumber ino, uint64_t handle);
  LockWaits& lock_waits() { return lock_waits_; }
  void OnLockAnswer(const wire::LockAnswer& answer) { lock_waits_.OnAnswer(answer); }
  // Every lock held, for the first heartbeat after the metaserver's restart.
  void AddLocks(wire::SessionHeartbeatRequest* report) const { locks_.AddTo(report); }

  // Directories.
  std::unique_ptr<DirectoryReader> OpenDirectory(InodeNumber ino);
  void NoteDirectoryRead(const DirectoryReader& reader, const OpContext& op);
  absl::Status SyncMetadata(const OpContext& op);
  ReadTimes& read_times() { return read_times_; }
  ListingPrefetch& prefetch() { return prefetch_; }

  // Events of the session (file_system_events.cc).
  void OnSessionLost(SessionId lost);
  void OnServerRestart();
  // A mutation got the answer that an earlier client of this session was given: of the past.
  void OnOldAnswer();
  void OnLeasesLost();
  void AwaitPageDrops();  // of what was lost; a second at most
  // True: done. Else `later` is called once it is. `ack` gets what is open here.
  bool OnEvent(const wire::SessionEvent& event, wire::EventAck* ack,
               std::function<void(const wire::EventAck&)> later);
  void FillLeases(bool whole, wire::SessionHeartbeatRequest* report);
  void LeasesReported(bool acknowledged);
  void Start();  // the threads that do what an event asks for
  void Stop();

  const ClientOptions& options() const { return options_; }
  // What the kernel asked for, since the start.
  struct Counters {
    std::atomic<uint64_t> lookups_cached{0};
    std::atomic<uint64_t> lookups_asked{0};
    std::atomic<uint64_t> read_bytes{0};
    std::atomic<uint64_t> written_bytes{0};
  };
  const Counters& counters() const { return counters_; }

 private:
  // From the cache while a lease covers it, else from the metaserver.
  absl::StatusOr<wire::Entry> GetEntry(InodeNumber ino, const OpContext& op);
  bool KnownWithoutAcl(InodeNumber ino, const OpContext& op);
  absl::StatusOr<wire::Entry> FetchEntry(InodeNumber ino, const OpContext& op);
  // Its bytes were changed elsewhere: has the newest record before it is used.
  absl::Status RefreshStale(Inode& inode, const OpContext& op);
  // The same, and the session has it open for writing.
  absl::Status RefreshForWriting(Inode& inode, const OpContext& op);
  // A file's record for a new handle that is held already.
  absl::StatusOr<wire::Entry> OpenRecord(const std::shared_ptr<Inode>& inode, OpenFlags flags,
                                         const OpContext& op);
  absl::StatusOr<wire::Entry> SetSize(const std::shared_ptr<Inode>& inode,
                                      const wire::SetattrRequest& request, const OpContext& op);
  // mkdir, mknod, symlink.
  template <typename Request>
  absl::StatusOr<wire::Entry> MakeName(EntryName name, wire::Method method, Request request,
                                       const OpContext& op) {
    CacheChange change(cache_, {{name.parent, std::string(name.name)}}, {name.parent});
    change.Declare(request);
    ASSIGN_OR_RETURN(wire::EntryResponse response,
                     meta_->Mutate<wire::EntryResponse>(method, std::move(request), op));
    wire::Entry entry = std::move(*response.mutable_entry());
    change.IsHere(0, InodeNumber(entry.attr().ino()), entry.attr().mode());
    change.IsNow(entry);
    entry.set_leased_by(0);
    return entry;
  }
  absl::StatusOr<CreatedFile> OpenCreated(InodeNumber ino, OpenFlags flags, const OpContext& op);
  absl::StatusOr<CreatedFile> OpenExisting(EntryName name, OpenFlags flags, const OpContext& op);
  absl::StatusOr<wire::Entry> CallOpen(Inode& inode, OpenFlags flags, const OpContext& op);
  // What this mount has written to a file is the newest: as `record`, which the kernel may keep
  // only when it is all that there is.
  wire::Entry Merge(const wire::Entry& record) const;
  void DropFromKernel(const EntryCache::Dropped& dropped);
  void DropPages(InodeNumber ino, PageDrops::Done done);
  void MarkChanged(const wire::ChangedInode& changed);
  absl::StatusOr<wire::Entry> SetReadTime(const wire::SetattrRequest& read, const OpContext& op);
  // Makes a handle of a pinned inode whose newest record is `entry`; the pin is the handle's.
  std::unique_ptr<FileHandle> MakeHandle(std::shared_ptr<Inode> inode, const wire::Entry& entry,
                                         bool write);
  // The error of writes that this handle has not reported yet. Take: it is reported now.
  absl::Status PeekError(const FileHandle& handle) const;
  absl::Status TakeError(FileHandle& handle) const;
  absl::StatusOr<Looked> FindEntry(EntryName name, const OpContext& op);
  absl::Status RenameThere(EntryName from, EntryName to, uint32_t flags, const OpContext& op);
  absl::Status CheckRename(EntryName name, const wire::Attr& found, const OpContext& op);
  // Before a rename puts `from` over `to`: what was written here must be on disk.
  absl::Status SyncBeforeReplace(EntryName from, EntryName to, const OpContext& op);
  bool HasUnsynced(InodeNumber ino) const;
  void ReleaseLocks(const wire::ReleaseLocksRequest& request,
                    const std::vector<wire::FileLock>& locks);

  MetaApi* const meta_;
  ChunkApi* const chunks_;
  HoldTable* const holds_;
  FileWriter* const writer_;
  EntryCache* const cache_;
  KernelCache* kernel_ = nullptr;
  PageDrops page_drops_;
  // What events ask for. Pools of their own: each kind may wait for another mount's other kinds.
  WorkerPool page_work_;           // dropping pages of the kernel
  WorkerPool flush_work_;          // publishing what was kept back
  WorkerPool ack_work_;            // acknowledgements that could not go with the next poll
  EntryCache::Dropped releasing_;  // of the heartbeat's thread: given up with the report under way
  const ClientOptions options_;
  FileReader reader_;
  ReadTimes read_times_;
  InodeTable inodes_;
  FreshLookups lookups_;
  LostNames lost_names_;
  ListingPrefetch prefetch_;
  Clock* const clock_;
  std::atomic<uint64_t> last_handle_;
  Counters counters_;
  LockTable locks_;
  LockWaits lock_waits_;
};

}  // namespace penstock::client

// FileSystem is the mounted file system without FUSE: POSIX operations on inodes and handles. One
// file an operation in client/ops/. Thread-safe; every operation may wait for servers, up to the
// I/O timeout (EIO) or until `op.interrupt` fires (EINTR).
//
// Caching is close-to-open (docs/decisions/2026-11-22-fresh-lookup-open.md): every open sees what
// any mount closed before; the kernel keeps a file's pages while its data_version is unchanged.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "client/client_options.h"
#include "client/directory_reader.h"
#include "client/file_reader.h"
#include "client/file_writer.h"
#include "client/fresh_lookups.h"
#include "client/hold_table.h"
#include "client/inode_table.h"
#include "client/lock_table.h"
#include "client/lock_waits.h"
#include "client/session.h"
#include "client/writer_threads.h"
#include "common/clock.h"

namespace penstock::client {

// One open(): what its own file description must remember.
struct FileHandle {
  std::shared_ptr<Inode> inode;
  uint64_t number = 0;  // never given twice
  bool write = false;
  bool keep_cache = false;  // the kernel's pages are still right
  uint64_t seen_error = 0;  // errors up to this number were reported here
  mutable WriterThreads writers;
};

struct OpenFlags {
  bool write = false;
  bool truncate = false;
  bool exclusive = false;
};

struct EntryName {
  InodeNumber parent;
  std::string_view name;
};

struct CreatedFile {
  wire::Entry entry;
  std::unique_ptr<FileHandle> handle;
};

class FileSystem {
 public:
  // All pointers must outlive the file system.
  FileSystem(MetaApi* meta, ChunkApi* chunks, HoldTable* holds, FileWriter* writer, Clock* clock,
             ClientOptions options);

  // Names.
  absl::StatusOr<wire::Entry> Lookup(EntryName name, const OpContext& op);
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
  LockWaits& lock_waits() { return lock_waits_; }
  void OnLockAnswer(const wire::LockAnswer& answer) { lock_waits_.OnAnswer(answer); }
  // Every lock held, for the first heartbeat after the metaserver's restart.
  void AddLocks(wire::SessionHeartbeatRequest* report) const { locks_.AddTo(report); }

  // Directories.
  std::unique_ptr<DirectoryReader> OpenDirectory(InodeNumber ino);
  absl::Status SyncMetadata(const OpContext& op);

  // Events of the session.
  void OnSessionLost(SessionId lost);
  void OnServerRestart();

  const ClientOptions& options() const { return options_; }

 private:
  absl::StatusOr<wire::Entry> FetchEntry(InodeNumber ino, const OpContext& op);
  // Makes a handle of a pinned inode whose newest record is `entry`; the pin is the handle's.
  std::unique_ptr<FileHandle> MakeHandle(std::shared_ptr<Inode> inode, const wire::Entry& entry,
                                         bool write);
  // The error of writes that this handle has not reported yet. Take: it is reported now.
  absl::Status PeekError(const FileHandle& handle) const;
  absl::Status TakeError(FileHandle& handle) const;
  // Before a rename puts `from` over `to`: what was written here must be on disk.
  absl::Status SyncBeforeReplace(EntryName from, EntryName to, const OpContext& op);
  bool HasUnsynced(InodeNumber ino) const;
  // At the last close: ends what was locked through it.
  void ReleaseHandle(const FileHandle& handle);
  void ReleaseLocks(const wire::ReleaseLocksRequest& request,
                    const std::vector<wire::FileLock>& locks);

  MetaApi* const meta_;
  ChunkApi* const chunks_;
  HoldTable* const holds_;
  FileWriter* const writer_;
  const ClientOptions options_;
  FileReader reader_;
  InodeTable inodes_;
  FreshLookups lookups_;
  Clock* const clock_;
  std::atomic<uint64_t> last_handle_{0};
  LockTable locks_;
  LockWaits lock_waits_;
};

}  // namespace penstock::client

// HandleTable gives each open file and directory the number that the kernel knows it by (fi->fh),
// and keeps what is needed to open it again in the journal. After a restart a handle is opened
// again when it is first used; what it holds is known to the metaserver all the time. Thread-safe;
// finding a handle takes no lock.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <array>
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "client/file_system.h"
#include "client/fuse/mount_journal.h"

namespace penstock::client {

class HandleTable {
 public:
  // All must outlive the table. Takes over what an earlier client had open: `holds` has it when
  // this returns, so before the session's first report.
  HandleTable(MountJournal* journal, FileSystem* fs, HoldTable* holds);
  ~HandleTable();

  // ENFILE: too many are open; then `handle` stays the caller's. What `request` opened for an
  // earlier client, which could not tell the kernel, is closed.
  absl::StatusOr<uint64_t> AddFile(std::unique_ptr<FileHandle>& handle,
                                   const RepeatableRequest& request);
  absl::StatusOr<uint64_t> AddDirectory(std::unique_ptr<DirectoryReader> reader,
                                        const RepeatableRequest& request);

  // Opens it again when it was opened by an earlier client. Its error is what that meets.
  absl::StatusOr<FileHandle*> File(uint64_t number, const OpContext& op);
  absl::StatusOr<DirectoryReader*> Directory(uint64_t number);

  // Around each write: between them and the next Settle() a crash loses bytes.
  void NoteWrite(uint64_t number);
  // What `request` opened for an earlier client, which could not tell the kernel, is closed. Before
  // each answer that names no handle; with a handle AddFile and AddDirectory do it.
  void CloseUntold(const RepeatableRequest& request);

  // Notes that nothing of it is lost in a crash, if that is so.
  void Settle(uint64_t number);
  void SettleAll();

  // EIO when an earlier client died with bytes of this file. Take: from now on it is told.
  absl::Status PeekLoss(uint64_t number) const;
  absl::Status TakeLoss(uint64_t number);

  // The kernel gave it up.
  void RemoveFile(uint64_t number);
  void RemoveDirectory(uint64_t number);

  // What an earlier client had open; true: its pages in the kernel are wrong.
  const std::vector<std::pair<InodeNumber, bool>>& inherited() const { return inherited_; }

 private:
  static constexpr uint32_t kSegment = 1024;
  // What the kernel knows a handle by. Never 0.
  static uint64_t NumberOf(uint32_t index, uint32_t generation) {
    return uint64_t{generation} << 32 | (index + 1);
  }
  static uint32_t IndexOf(uint64_t number) { return static_cast<uint32_t>(number) - 1; }
  using Segment = std::array<std::atomic<void*>, kSegment>;

  struct Opened {
    InodeNumber ino;
    uint64_t number = 0;
    uint32_t flags = 0;
    void* object = nullptr;
  };
  // handle_restart.cc
  void TakeOver();
  void TakeOverRecord(uint32_t index, HandleRecord& record, bool lost)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<FileHandle*> OpenAgain(uint32_t index, HandleRecord& record, const OpContext& op);

  absl::StatusOr<uint32_t> TakeIndex();
  void MakeSegment(uint32_t index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint64_t Publish(uint32_t index, const Opened& opened, const RepeatableRequest& request);
  HandleRecord* Find(uint64_t number) const;
  std::atomic<void*>* Object(uint32_t index) const;
  void GiveIndex(uint32_t index);

  MountJournal* const journal_;
  FileSystem* const fs_;
  HoldTable* const holds_;
  std::vector<std::pair<InodeNumber, bool>> inherited_;
  absl::flat_hash_map<uint64_t, uint64_t> inherited_by_request_;  // handle numbers
  std::array<std::atomic<Segment*>, kHandleLimit / kSegment> segments_{};
  absl::Mutex mu_;
  std::vector<uint32_t> free_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::client

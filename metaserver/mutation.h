// Mutation is one change between Prepare and Apply: its locks, its batch, and the steps that
// several operations share. Used by one thread. An operation locks first (names, then inodes), then
// reads through view(), then changes; what it put in the batch is invisible to view().
#pragma once

#include <rocksdb/write_batch.h>

#include <functional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "metaserver/lease/lease_table.h"
#include "metaserver/lock_table.h"
#include "metaserver/read_view.h"
#include "metaserver/store/id_blocks.h"
#include "metaserver/store/records.h"

namespace penstock::metaserver {

class SharedWrites;

// Whose lease covers an inode's record (metaserver/lease/README.md).
InodeNumber CoverOf(const Inode& inode);

class Mutation {
 public:
  struct Context {
    ReadView::Context read;
    LockTable* locks = nullptr;
    IdBlocks* inode_ids = nullptr;
    IdBlocks* content_ids = nullptr;
    const Dataset* dataset = nullptr;
    uint32_t max_links = 0;
    absl::Time now;
    wire::Credentials credentials;
    const SharedWrites* shared_writes = nullptr;  // nullptr: nobody shares (tests)
    uint64_t hold_version = 0;
  };
  explicit Mutation(Context context);

  LockTable::Held& locks() { return locks_; }
  const ReadView& view() const { return view_; }
  FileTime now() const { return now_; }
  SessionId session() const { return context_.read.session; }
  const Context& context() const { return context_; }

  // A new inode with times, owner (inherited from a set-group-id parent), no name and no links yet.
  absl::StatusOr<Inode> NewInode(const Inode& parent, uint32_t mode);
  // A regular file's new content: inline and empty, with ids ready for when it grows.
  absl::Status GiveContent(Inode& inode);
  // The old content goes to background deletion, unless it never left the record.
  void BuryContent(const Inode& inode);

  void PutInode(Inode& inode);  // counts one change
  void PutDentry(InodeNumber parent, std::string_view name, const Inode& inode);
  void DeleteDentry(InodeNumber parent, std::string_view name);
  // Entries, links and times of a directory, without reading or locking it exclusively.
  void ChangeDirectory(InodeNumber directory, int64_t entries, int32_t links);
  // Takes one link (a directory: all) from an inode whose exclusive lock is held; the last one
  // makes an orphan that `holder` (may be invalid) holds open.
  void DropLink(Inode& inode, SessionId holder);
  void CountInodes(int64_t difference) { inodes_ += difference; }
  void CountBytes(const Inode& inode, uint64_t old_size, uint64_t new_size);

  rocksdb::WriteBatch& batch() { return batch_; }
  void Put(Family family, const std::string& key, const std::string& value);
  void Delete(Family family, const std::string& key);
  void RequireSync() { sync_ = true; }
  // It frees room, or needs none: done also while the metadata's disk is nearly full.
  void NeedsNoRoom() { needs_room_ = false; }
  // Everybody else who writes the file must keep nothing back before this is applied. Whether that
  // is so already; if not, the caller goes on as if it were, and is run again later.
  void RequireShared(InodeNumber ino);
  // For a change of the file's size or content: ABORTED kFileShared while others write it, too, and
  // this session does not have the turn (SharedWrites).
  absl::Status CheckTurn(InodeNumber ino) const;
  // The session will read the file's bytes by this answer.
  void SetOpens(InodeNumber ino) { opens_ = ino; }
  InodeNumber opens() const { return opens_; }
  // The session will write the file from now on: nobody else may have its record cached.
  void NoteWriter(const Inode& inode);
  // The inode's caches need not know: see SETATTR_ATIME_READ.
  void ForgetTouched(InodeNumber ino);
  // Runs after Apply, before the locks are given back.
  void OnApplied(std::function<void()> step) { on_applied_.push_back(std::move(step)); }

  // For Namespace.
  void Finish();  // adds the counters
  // What others may have cached, with the state before this change.
  absl::StatusOr<Touched> WhatIsTouched() const;
  // Other sessions that must first be told that the file is shared.
  struct NotShared {
    InodeNumber ino;
    SessionId writer;
  };
  const std::vector<NotShared>& not_shared() const { return not_shared_; }
  bool empty() const { return batch_.Count() == 0; }
  bool sync() const { return sync_; }
  bool needs_room() const { return needs_room_; }
  void RunOnApplied();

 private:
  const Context context_;
  LockTable::Held locks_;
  ReadView view_;
  const FileTime now_;
  rocksdb::WriteBatch batch_;
  int64_t inodes_ = 0;
  int64_t bytes_ = 0;
  bool sync_ = false;
  bool needs_room_ = true;
  std::vector<std::function<void()>> on_applied_;
  struct TouchedInode {
    InodeNumber ino;
    uint64_t data_version = 0;
    uint64_t content = 0;
  };
  std::vector<TouchedInode> touched_;
  std::vector<Touched::Name> touched_names_;
  std::vector<NotShared> not_shared_;
  InodeNumber opens_;
};

}  // namespace penstock::metaserver

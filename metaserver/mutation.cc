#include "metaserver/mutation.h"

#include <algorithm>
#include <cerrno>

#include "common/content_seed.h"
#include "common/status.h"
#include "metaserver/lease/shared_writes.h"
#include "metaserver/session/session_table.h"
#include "metaserver/store/keys.h"

namespace penstock::metaserver {
namespace {

// Chunks beyond the published size that a writer may have written before it died.
constexpr uint64_t kUnpublishedChunks = 64;

uint64_t ChunksOf(const Inode& inode) {
  const uint64_t chunk = inode.layout.layout.chunk_size_bytes();
  const uint64_t size = std::max(inode.size, inode.truncate.id != 0 ? inode.truncate.old_size : 0);
  return size / chunk + (size % chunk != 0 ? 1 : 0);
}

}  // namespace

InodeNumber CoverOf(const Inode& inode) {
  if (inode.is_directory() || inode.parent_local == 0) return inode.ino;
  return inode.parent();
}

Mutation::Mutation(Context context)
    : context_(std::move(context)),
      locks_(context_.locks),
      view_(context_.read, /*with_snapshot=*/false),
      now_(ToFileTime(context_.now)) {}

absl::StatusOr<Inode> Mutation::NewInode(const Inode& parent, uint32_t mode) {
  ASSIGN_OR_RETURN(const uint64_t local, context_.inode_ids->Next());
  Inode inode;
  inode.ino = InodeNumber(parent.ino.dataset(), local);
  inode.mode = mode;
  inode.uid = context_.credentials.uid();
  inode.gid = context_.credentials.gid();
  if (parent.mode & S_ISGID) {
    inode.gid = parent.gid;
    if (S_ISDIR(mode)) inode.mode |= S_ISGID;
  }
  inode.atime = inode.mtime = inode.ctime = inode.btime = now_;
  inode.parent_local = parent.ino.local();
  inode.data_version = 1;
  inodes_ += 1;
  return inode;
}

absl::Status Mutation::GiveContent(Inode& inode) {
  ASSIGN_OR_RETURN(const uint64_t content, context_.content_ids->Next());
  inode.layout = LayoutRecord();
  inode.layout.layout.content = ContentId(content);
  inode.layout.layout.seed = SeedOfContent(ContentId(content));
  inode.layout.layout.chunk_size_log2 = context_.dataset->chunk_size_log2;
  inode.layout.layout.storage_class = context_.dataset->storage_class;
  inode.is_inline = true;
  inode.data.clear();
  inode.size = inode.allocated = 0;
  return absl::OkStatus();
}

void Mutation::BuryContent(const Inode& inode) {
  if (!inode.is_regular() || inode.is_inline || !inode.layout.layout.content.valid()) return;
  DeadContent dead;
  dead.layout = inode.layout;
  dead.chunk_count = ChunksOf(inode) + kUnpublishedChunks;
  Put(Family::kOrphan, DeadContentKey(now_, inode.layout.layout.content), EncodeDeadContent(dead));
}

void Mutation::PutInode(Inode& inode) {
  ++inode.change;
  touched_.push_back({inode.ino, inode.data_version, inode.layout.layout.content.value()});
  Put(Family::kInode, InodeKey(inode.ino), EncodeInode(inode));
}

void Mutation::PutDentry(InodeNumber parent, std::string_view name, const Inode& inode) {
  touched_names_.push_back({parent, std::string(name)});
  Put(Family::kDentry, DentryKey(parent, name),
      EncodeDentry({inode.ino.local(), inode.mode & S_IFMT}));
}

void Mutation::DeleteDentry(InodeNumber parent, std::string_view name) {
  touched_names_.push_back({parent, std::string(name)});
  Delete(Family::kDentry, DentryKey(parent, name));
}

void Mutation::ChangeDirectory(InodeNumber directory, int64_t entries, int32_t links) {
  touched_.push_back({directory, 0, 0});
  DirectoryChange change;
  change.entries = entries;
  change.links = links;
  change.time = now_;
  batch_.Merge(context_.read.store->family(Family::kInode), InodeKey(directory),
               EncodeDirectoryChange(change));
}

void Mutation::DropLink(Inode& inode, SessionId holder) {
  inode.nlink = inode.is_directory() ? 0 : inode.nlink - 1;
  inode.ctime = now_;
  if (inode.nlink == 0) {
    inode.parent_local = inode.is_directory() ? inode.parent_local : 0;
    Orphan orphan;
    if (holder.valid()) orphan.holders.push_back(holder);
    Put(Family::kOrphan, OrphanKey(now_, inode.ino), EncodeOrphan(orphan));
    if (holder.valid()) {
      OnApplied([sessions = context_.read.sessions, holder, ino = inode.ino] {
        sessions->NoteOpen(holder, ino, {});
      });
    }
  }
  PutInode(inode);
}

void Mutation::CountBytes(const Inode& inode, uint64_t old_size, uint64_t new_size) {
  if (inode.is_regular()) bytes_ += static_cast<int64_t>(new_size - old_size);
}

void Mutation::Put(Family family, const std::string& key, const std::string& value) {
  batch_.Put(context_.read.store->family(family), key, value);
}

void Mutation::Delete(Family family, const std::string& key) {
  batch_.Delete(context_.read.store->family(family), key);
}

void Mutation::RequireShared(InodeNumber ino) {
  for (const OpenElsewhere& other : context_.read.sessions->Others(ino, session())) {
    if (other.write && !other.shared) not_shared_.push_back({ino, other.session});
  }
}

absl::Status Mutation::CheckTurn(InodeNumber ino) const {
  if (context_.shared_writes == nullptr || !session().valid()) return absl::OkStatus();
  if (!context_.read.sessions->OtherWriters(ino, session())) return absl::OkStatus();
  if (context_.shared_writes->Holds(session(), ino)) return absl::OkStatus();
  return WithReason(absl::AbortedError("others write the file, too"), Reason::kFileShared);
}

void Mutation::NoteWriter(const Inode& inode) {
  touched_.push_back({inode.ino, inode.data_version, inode.layout.layout.content.value()});
}

void Mutation::ForgetTouched(InodeNumber ino) {
  std::erase_if(touched_, [&](const TouchedInode& touched) { return touched.ino == ino; });
}

absl::StatusOr<Touched> Mutation::WhatIsTouched() const {
  Touched all;
  all.names = touched_names_;
  for (const TouchedInode& touched : touched_) {
    auto same = [&](const Touched::Record& record) { return record.ino == touched.ino; };
    if (std::any_of(all.records.begin(), all.records.end(), same)) continue;
    Touched::Record& record = all.records.emplace_back();
    record.ino = touched.ino;
    auto before = view_.GetInode(touched.ino);
    if (!before.ok()) {
      if (ErrnoOf(before.status()) == ESTALE) continue;  // new
      return before.status();
    }
    record.cover = CoverOf(*before);
    record.data =
        before->is_regular() && (before->data_version != touched.data_version ||
                                 before->layout.layout.content.value() != touched.content);
  }
  return all;
}

void Mutation::Finish() {
  if (inodes_ == 0 && bytes_ == 0) return;
  batch_.Merge(context_.read.store->family(Family::kDataset), CountersKey(context_.dataset->id),
               EncodeCounters({inodes_, bytes_}));
}

void Mutation::RunOnApplied() {
  for (const auto& step : on_applied_) step();
}

}  // namespace penstock::metaserver

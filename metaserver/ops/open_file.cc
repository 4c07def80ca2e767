#include "metaserver/ops/open_file.h"

#include <cerrno>

#include "common/status.h"
#include "metaserver/ops/caller.h"
#include "metaserver/ops/set_ids.h"
#include "metaserver/session/session_table.h"
#include "metaserver/store/keys.h"

namespace penstock::metaserver {

absl::Status CheckNotTruncating(const Mutation& m, const Inode& inode, bool own_allowed) {
  if (inode.truncate.id == 0) return absl::OkStatus();
  const bool own = inode.truncate.session == m.session();
  if (own && own_allowed) return absl::OkStatus();
  // When its session is dead the reclaimer finishes it, and this caller's retry succeeds.
  if (!own) m.context().read.sessions->EndIfStale(inode.truncate.session);
  return WithReason(absl::AbortedError("the file is being truncated"), Reason::kTruncating);
}

absl::Status EmptyFile(Mutation& m, Inode& inode) {
  if (inode.size != 0 || !inode.is_inline) {
    m.BuryContent(inode);
    m.CountBytes(inode, inode.size, 0);
    if (inode.truncate.id != 0) {
      inode.truncate = TruncateIntent();  // of the content that just died
      m.Delete(Family::kOrphan, TruncateKey(inode.ino));
    }
    RETURN_IF_ERROR(m.GiveContent(inode));
    ++inode.data_version;
  }
  inode.mtime = inode.ctime = m.now();
  return absl::OkStatus();
}

absl::Status OpenInode(Mutation& m, Inode& inode, OpenHow how) {
  if (inode.is_directory() && (how.write || how.truncate)) {
    return PosixError(EISDIR, "a directory cannot be written");
  }
  if (inode.is_regular() && (how.write || how.truncate)) {
    RETURN_IF_ERROR(CheckNotTruncating(m, inode, /*own_allowed=*/true));
    if (how.truncate) {
      m.NeedsNoRoom();
      RETURN_IF_ERROR(m.CheckTurn(inode.ino));
      RETURN_IF_ERROR(EmptyFile(m, inode));
      // No SETATTR follows: the kernel leaves it to an open that truncates.
      const Caller caller = CallerOf(m.context().credentials);
      if (caller.uid != 0) KillSetIds(inode, caller);
      m.PutInode(inode);
    }
  }
  SessionTable* const sessions = m.context().read.sessions;
  bool shared = false;
  if (inode.is_regular()) {
    m.SetOpens(inode.ino);
    m.RequireShared(inode.ino);
    for (const OpenElsewhere& other : sessions->Others(inode.ino, m.session())) {
      shared = shared || how.write || other.write;
    }
    if (how.write) m.NoteWriter(inode);
  }
  m.OnApplied([sessions, session = m.session(), ino = inode.ino,
               how = SessionTable::Opened{how.write, shared, m.context().hold_version}] {
    sessions->NoteOpen(session, ino, how);
  });
  return absl::OkStatus();
}

void FillOpened(const Mutation& m, const Inode& inode, bool write, wire::Entry& entry) {
  m.view().FillEntry(inode, entry);
  if (!inode.is_regular()) return;
  for (const OpenElsewhere& other : m.context().read.sessions->Others(inode.ino, m.session())) {
    entry.set_shared(entry.shared() || write || other.write);
  }
}

}  // namespace penstock::metaserver

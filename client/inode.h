// Inode is what this mount knows of one inode that is open here, or was lately: the newest record
// from the metaserver, and what was written here that the metaserver does not know yet.
// FileWriter changes it, FileReader and the operations read it, all under `mu`.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_map.h>
#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "client/chunk_pieces.h"
#include "client/dirty_bytes.h"
#include "common/file_layout.h"
#include "common/ids.h"
#include "common/relatime.h"
#include "proto/meta.pb.h"

namespace penstock::client {

inline constexpr uint64_t kInlineLimitBytes = 4096;

// One chunk's way to the servers: at most one write in flight.
struct DirtyChunk {
  DirtyBytes bytes;            // written since
  DirtyBytes sending;          // on their way
  uint64_t first_write = 0;    // number of the oldest write in `bytes`
  uint64_t first_sending = 0;  // and in `sending`
  bool in_flight = false;
  bool abandoned = false;  // `sending` goes to a content that the file no longer has
  bool wanted = false;     // queued, or to be sent again after what is in flight
};

// A truncation that the metaserver has recorded and whose chunks are not all cut yet.
struct UnfinishedCut {
  wire::SetattrResponse recorded;
  uint64_t size = 0;
  SessionId session;
};

// A read whose time the metaserver does not know yet (ReadTimes).
struct UnsentRead {
  absl::Time at = absl::InfinitePast();
  bool is_due = false;   // it changes the atime; else that is seen when the record is known
  bool queued = false;   // somebody will send it
  bool sending = false;  // on its way
};

class Inode {
 public:
  explicit Inode(InodeNumber number) : ino(number) {}

  const InodeNumber ino;
  // The kernel may have pages of it, by a read or write since they were dropped last.
  std::atomic<bool> has_pages{false};
  mutable absl::Mutex mu;  // never held over a call

  // Takes `fresh` over unless more is known already; whether it did.
  bool Absorb(const wire::Entry& fresh) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // The same for the answer to a change of this mount's own, which the page cache has already.
  void AbsorbOwn(const wire::Entry& fresh) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // Forgets the content (not the version) once nobody has the file open.
  void Strip() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // Reads come from the record again: what was moved to chunk 0 did not get there.
  void Dematerialise() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // Absorb() for an inode that may not be open: then the content is forgotten again.
  void AbsorbInPassing(const wire::Entry& fresh) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // The record with what was written and read here on top.
  wire::Entry Merged() const ABSL_SHARED_LOCKS_REQUIRED(mu);
  uint64_t size() const ABSL_SHARED_LOCKS_REQUIRED(mu) {
    return std::max(entry.attr().size(), local_size);
  }
  FileLayout layout() const ABSL_SHARED_LOCKS_REQUIRED(mu) { return LayoutOf(entry.layout()); }
  bool dirty() const ABSL_SHARED_LOCKS_REQUIRED(mu) { return writes > published; }
  // Reads come from the record's inline content, not from chunks.
  bool reads_inline() const ABSL_SHARED_LOCKS_REQUIRED(mu) {
    return entry.is_inline() && !materialised;
  }
  bool has_record() const ABSL_SHARED_LOCKS_REQUIRED(mu) { return entry.attr().ino() != 0; }
  // Of the record, with what was written here on top, and reads that are known to change the atime.
  AccessTimes Times() const ABSL_SHARED_LOCKS_REQUIRED(mu);
  // `allocated_delta` for a publish of `up_to` bytes: as much as can lie in them, for the
  // metaserver would cut the rest off. What later writes stored stays for the publish of their
  // size. Whoever fails to publish it puts it back.
  int64_t TakeAllocatedDelta(uint64_t up_to) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // The inline content with what was written here on top. Only while reads_inline().
  std::string InlineContent() const ABSL_SHARED_LOCKS_REQUIRED(mu);
  void SetError(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // The metaserver's word overtakes answers that are on their way. Ask() before the call, the
  // others with its answer: they do nothing when something was said since.
  struct Question {
    uint64_t shared_said = 0;
    uint64_t stale_said = 0;
    uint64_t losses = 0;
  };
  Question Ask() const ABSL_SHARED_LOCKS_REQUIRED(mu) { return {shared_said, stale_said, losses}; }
  void IsShared(const Question& asked, bool answer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    if (asked.shared_said == shared_said) shared = answer;
  }
  // Its record is the newest one; whether that is so.
  bool IsFresh(const Question& asked) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    if (asked.stale_said != stale_said) return false;
    stale = false;
    return true;
  }
  void BecomesStale() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    stale = true;
    ++stale_said;
  }
  // A new session opens the file for writing before more is written: what an earlier one may have
  // left beyond the published size is cut off first.
  bool must_reopen() const ABSL_SHARED_LOCKS_REQUIRED(mu) { return opened_after != losses; }
  void IsOpenForWriting(const Question& asked) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    opened_after = std::max(opened_after, asked.losses);
  }
  // While pinned (`handles`), content that was once taken over stays.
  void Pin() ABSL_LOCKS_EXCLUDED(mu);
  void Unpin() ABSL_LOCKS_EXCLUDED(mu);

  wire::Entry entry ABSL_GUARDED_BY(mu);
  bool known ABSL_GUARDED_BY(mu) = false;       // entry is filled in, content included
  int handles ABSL_GUARDED_BY(mu) = 0;          // and operations that need the content
  bool accept_any ABSL_GUARDED_BY(mu) = false;  // a restarted metaserver may know less than we do

  // Written here.
  uint64_t writes ABSL_GUARDED_BY(mu) = 0;      // counts changes of bytes
  uint64_t published ABSL_GUARDED_BY(mu) = 0;   // those that the metaserver knows of
  uint64_t local_size ABSL_GUARDED_BY(mu) = 0;  // 0 when all is published
  absl::Time local_mtime ABSL_GUARDED_BY(mu);
  absl::Time dirty_since ABSL_GUARDED_BY(mu) = absl::InfiniteFuture();
  absl::btree_map<uint32_t, DirtyChunk> chunks ABSL_GUARDED_BY(mu);
  // Bytes more (or fewer) in this content's chunks than the metaserver has been told of.
  int64_t allocated_delta ABSL_GUARDED_BY(mu) = 0;
  // Acknowledged by every in-sync member since the last sync, by chunk.
  absl::flat_hash_map<uint32_t, ChunkVersion> unsynced ABSL_GUARDED_BY(mu);
  uint64_t taken ABSL_GUARDED_BY(mu) = 0;         // newest write that may have gone to this content
  bool by_mapping ABSL_GUARDED_BY(mu) = false;    // pages of a shared mapping were written
  bool materialised ABSL_GUARDED_BY(mu) = false;  // the inline content went into chunk 0's bytes
  // Of which data_version, how long, and what was written here above it since.
  uint64_t materialised_version ABSL_GUARDED_BY(mu) = 0;
  size_t materialised_bytes ABSL_GUARDED_BY(mu) = 0;
  DirtyBytes above_inline ABSL_GUARDED_BY(mu);
  bool sync_before_publish ABSL_GUARDED_BY(mu) = false;  // the old content was truncated away
  bool busy ABSL_GUARDED_BY(mu) = false;                 // a flush, sync or truncation is under way
  bool emptying ABSL_GUARDED_BY(mu) = false;             // nothing goes to the content, which ends
  std::shared_ptr<const UnfinishedCut> cut ABSL_GUARDED_BY(mu);  // nullptr: none
  bool registered ABSL_GUARDED_BY(mu) = false;                   // among FileWriter's dirty inodes
  uint32_t channel ABSL_GUARDED_BY(mu) = 0;  // of this content's writes; 0: none yet
  uint64_t channel_sequence ABSL_GUARDED_BY(mu) = 0;
  SessionId session ABSL_GUARDED_BY(mu);  // the oldest unpublished write's

  // The first byte of this flush that could not be written: what follows is dropped unsent.
  uint64_t failed_from ABSL_GUARDED_BY(mu) = UINT64_MAX;
  // Chunks of this content may hold bytes of failed writes from the file's size up to here. They
  // are cut off before the file grows: else they would be seen where nobody wrote. 0: none.
  uint64_t stray_end ABSL_GUARDED_BY(mu) = 0;
  ContentId stray_content ABSL_GUARDED_BY(mu);

  // Others use the file too, and somebody writes it: nothing written here is kept back.
  bool shared ABSL_GUARDED_BY(mu) = false;
  uint64_t shared_said ABSL_GUARDED_BY(mu) = 0;  // counts when the metaserver said so
  bool turn ABSL_GUARDED_BY(mu) = false;         // a shared write of this mount is under way
  // Its bytes were changed elsewhere: the record is asked for before it is used again.
  bool stale ABSL_GUARDED_BY(mu) = false;
  uint64_t stale_said ABSL_GUARDED_BY(mu) = 0;
  absl::Time stale_said_at ABSL_GUARDED_BY(mu) = absl::InfinitePast();
  uint64_t losses ABSL_GUARDED_BY(mu) = 0;  // of the session, or of all that it held
  uint64_t opened_after ABSL_GUARDED_BY(mu) = 0;
  UnsentRead unsent_read ABSL_GUARDED_BY(mu);

  // As errseq_t: each handle reports an error once.
  uint64_t error_number ABSL_GUARDED_BY(mu) = 0;
  absl::Status error ABSL_GUARDED_BY(mu);

  // The data_version that the kernel's page cache of this inode belongs to; 0: none.
  uint64_t cached_version ABSL_GUARDED_BY(mu) = 0;
  // security.capability was found absent then: the kernel asks for it before every write.
  absl::Time no_capability_at ABSL_GUARDED_BY(mu) = absl::InfinitePast();

 private:
  // 512-byte units, about: an overwrite that is not sent yet counts as new.
  uint64_t Blocks() const ABSL_SHARED_LOCKS_REQUIRED(mu);
};

wire::Time ToWireTime(absl::Time time);
absl::Time FromWireTime(const wire::Time& time);

}  // namespace penstock::client

// What a dead session left of its files (DESIGN.md section 7: a dead writer's files are trimmed).
//
// Its last bytes may lie in chunks beyond the size that it published. They were never part of the
// file: were they left there, whoever makes the file longer would read them where a hole is zeros.
// A truncation to the published size is recorded, in the dead session's name; the reclaimer works
// it off, and until then nobody can open the file for writing (CheckNotTruncating).
//
// A session that is not dead but cut off may have written on. It opens its files anew before it
// writes more (client/inode.h, must_reopen).
#include "common/status.h"
#include "metaserver/namespace.h"
#include "metaserver/store/keys.h"

namespace penstock::metaserver {
namespace {

// Clients publish what they have written within seconds; further ahead of that nobody is.
constexpr uint64_t kTrimmedChunks = 8192;

// Nothing of an inline file is in chunks. What a dead writer put there goes with the content's id.
absl::Status ReplaceContent(Mutation& m, Inode& inode) {
  Inode chunks = inode;
  chunks.is_inline = false;
  m.BuryContent(chunks);
  RETURN_IF_ERROR(m.GiveContent(inode));
  inode.data = chunks.data;
  inode.size = chunks.size;
  return absl::OkStatus();
}

}  // namespace

absl::Status Namespace::TrimAfter(SessionId dead, const std::vector<InodeNumber>& written) {
  for (InodeNumber ino : written) {
    RETURN_IF_ERROR(Annotate(TrimOne(dead, ino), "trim the file of a dead session"));
  }
  return absl::OkStatus();
}

absl::Status Namespace::TrimOne(SessionId dead, InodeNumber ino) {
  return MutateInternally([&](Mutation& m) -> absl::Status {
    m.locks().LockInodes({{ino, true}});
    auto inode = m.view().GetInode(ino);
    if (ErrnoOf(inode.status()) == ESTALE) return absl::OkStatus();
    RETURN_IF_ERROR(inode.status());
    // Without a name nobody can open it; a cut that was begun cuts these bytes too.
    if (!inode->is_regular() || inode->nlink == 0 || inode->truncate.id != 0) {
      return absl::OkStatus();
    }
    if (sessions_->WrittenByOthers(ino, dead)) return absl::OkStatus();
    if (inode->is_inline) {
      RETURN_IF_ERROR(ReplaceContent(m, *inode));
    } else {
      const uint64_t beyond = kTrimmedChunks * inode->layout.layout.chunk_size_bytes();
      inode->truncate = {inode->change + 1, inode->size + beyond, dead};
      m.Put(Family::kOrphan, TruncateKey(ino), "");
    }
    m.PutInode(*inode);
    return absl::OkStatus();
  });
}

}  // namespace penstock::metaserver

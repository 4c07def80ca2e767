#include "metaserver/fsck/fixes.h"

#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include <cerrno>

#include "common/logging.h"
#include "common/status.h"
#include "metaserver/session/session_table.h"
#include "metaserver/store/keys.h"

namespace penstock::metaserver {
namespace {

constexpr size_t kMostNames = 1000;  // removed by one fix

absl::Status Changed() { return absl::AbortedError("it has changed meanwhile: run fsck again"); }

// ESTALE when there is none; ABORTED when it is not as it was.
absl::StatusOr<Inode> GetAsItWas(const Mutation& m, const wire::Fix& fix) {
  ASSIGN_OR_RETURN(Inode inode, m.view().GetInode(InodeNumber(fix.ino())));
  if (inode.change != fix.change()) return Changed();
  return inode;
}

// OK: there is no such inode.
absl::Status CheckMissing(const Mutation& m, InodeNumber ino) {
  const auto inode = m.view().GetInode(ino);
  if (ErrnoOf(inode.status()) == ESTALE) return absl::OkStatus();
  RETURN_IF_ERROR(inode.status());
  return Changed();
}

}  // namespace

wire::FixResult Fixes::Apply(const wire::Fix& fix) {
  wire::FixResult result;
  auto done = Do(fix);
  result.set_done(done.ok());
  result.set_message(done.ok() ? *done : std::string(done.status().message()));
  if (done.ok()) {
    SPDLOG_WARN("repaired fix={} inode={} what={}", wire::Fix::Kind_Name(fix.kind()), fix.ino(),
                Quoted(*done));
  }
  return result;
}

absl::StatusOr<std::string> Fixes::Do(const wire::Fix& fix) {
  switch (fix.kind()) {
    case wire::Fix::SET_INODE:
      return SetInode(fix);
    case wire::Fix::TO_LOST_AND_FOUND:
      return ToLostAndFound(fix);
    case wire::Fix::REMOVE_NAME:
      return RemoveName(fix);
    case wire::Fix::REMOVE_ORPHAN:
    case wire::Fix::REMOVE_TRUNCATION:
      return RemoveRecord(fix);
    case wire::Fix::REMOVE_XATTRS:
      return RemoveXattrs(fix);
    case wire::Fix::ADD_TO_COUNTERS:
      return AddToCounters(fix);
    case wire::Fix::DELETE_CONTENT:
      return DeleteContent(fix);
    case wire::Fix::TRIM_FILE:
      return TrimFile(fix);
    case wire::Fix::SYNC_COPY:
      RETURN_IF_ERROR(
          cluster_->SyncCopy({fix.storage_class(), fix.group()}, TargetId(fix.target_id())));
      return std::string("it takes another member's state; `penstock repair status` follows it");
    default:
      return absl::UnimplementedError("a fix that this metaserver does not know");
  }
}

absl::StatusOr<std::string> Fixes::SetInode(const wire::Fix& fix) {
  RETURN_IF_ERROR(names_->MutateInternally([&](Mutation& m) -> absl::Status {
    m.locks().LockInodes({{InodeNumber(fix.ino()), true}});
    ASSIGN_OR_RETURN(Inode inode, GetAsItWas(m, fix));
    inode.nlink = fix.nlink();
    if (inode.is_directory()) {
      inode.size = fix.entries();
      inode.parent_local = InodeNumber(fix.parent()).local();
    } else {
      inode.parent_local = fix.nlink() == 1 ? InodeNumber(fix.parent()).local() : 0;
    }
    m.PutInode(inode);
    return absl::OkStatus();
  }));
  return absl::StrCat("links set to ", fix.nlink());
}

// The directory's number; made when it is missing.
absl::StatusOr<InodeNumber> Fixes::LostAndFound() {
  constexpr std::string_view kName = "lost+found";
  InodeNumber found;
  RETURN_IF_ERROR(names_->MutateInternally([&](Mutation& m) -> absl::Status {
    m.locks().LockNames({{kRootInode, kName}});
    const auto dentry = m.view().GetDentry(kRootInode, kName);
    if (dentry.ok()) {
      if (!S_ISDIR(dentry->type)) return PosixError(ENOTDIR, "/lost+found is no directory");
      found = InodeNumber(kRootInode.dataset(), dentry->local);
      return absl::OkStatus();
    }
    if (ErrnoOf(dentry.status()) != ENOENT) return dentry.status();
    m.locks().LockInodes({{kRootInode, false}});
    ASSIGN_OR_RETURN(const Inode root, m.view().GetDirectory(kRootInode));
    ASSIGN_OR_RETURN(Inode made, m.NewInode(root, S_IFDIR | 0700));
    made.nlink = 2;
    found = made.ino;
    m.PutInode(made);
    m.PutDentry(kRootInode, kName, made);
    m.ChangeDirectory(kRootInode, 1, 1);
    return absl::OkStatus();
  }));
  return found;
}

absl::StatusOr<std::string> Fixes::ToLostAndFound(const wire::Fix& fix) {
  ASSIGN_OR_RETURN(const InodeNumber folder, LostAndFound());
  const InodeNumber ino(fix.ino());
  const std::string name = absl::StrCat("inode-", ino.value());
  RETURN_IF_ERROR(names_->MutateInternally([&](Mutation& m) -> absl::Status {
    m.locks().LockNames({{folder, name}});
    m.locks().LockInodes({{folder, false}, {ino, true}});
    RETURN_IF_ERROR(m.view().GetDirectory(folder).status());
    ASSIGN_OR_RETURN(Inode inode, GetAsItWas(m, fix));
    if (m.view().GetDentry(folder, name).ok()) return Changed();
    inode.nlink = inode.is_directory() ? fix.nlink() : 1;
    if (inode.is_directory()) inode.size = fix.entries();
    inode.parent_local = folder.local();
    m.PutInode(inode);
    m.PutDentry(folder, name, inode);
    m.ChangeDirectory(folder, 1, inode.is_directory() ? 1 : 0);
    return absl::OkStatus();
  }));
  return absl::StrCat("it is /lost+found/", name, " now");
}

absl::StatusOr<std::string> Fixes::RemoveName(const wire::Fix& fix) {
  const InodeNumber parent(fix.parent());
  const InodeNumber ino(fix.ino());
  std::vector<std::string> names;
  RETURN_IF_ERROR(names_->ReadUnchecked({}, [&](const ReadView& view) -> absl::Status {
    return view.VisitNames(parent, "",
                           [&](std::string_view name, const Dentry& to) -> absl::StatusOr<bool> {
                             if (to.local == ino.local()) names.emplace_back(name);
                             return names.size() < kMostNames;
                           });
  }));
  for (const std::string& name : names) {
    RETURN_IF_ERROR(names_->MutateInternally([&](Mutation& m) -> absl::Status {
      m.locks().LockNames({{parent, name}});
      m.locks().LockInodes({{parent, false}, {ino, true}});
      ASSIGN_OR_RETURN(const Dentry dentry, m.view().GetDentry(parent, name));
      if (dentry.local != ino.local()) return Changed();
      const bool in_directory = m.view().GetInode(parent).ok();
      if (in_directory) RETURN_IF_ERROR(CheckMissing(m, ino));
      m.DeleteDentry(parent, name);
      if (in_directory) m.ChangeDirectory(parent, -1, S_ISDIR(dentry.type) ? -1 : 0);
      return absl::OkStatus();
    }));
  }
  if (names.empty()) return Changed();
  return absl::StrCat("removed the name ", names.front(), names.size() > 1 ? " and others" : "");
}

// Of the reclaimer's lists. It must find nothing to do, or not what it would do.
absl::StatusOr<std::string> Fixes::RemoveRecord(const wire::Fix& fix) {
  const bool of_truncation = fix.kind() == wire::Fix::REMOVE_TRUNCATION;
  const InodeNumber ino(fix.ino());
  const std::string key = of_truncation ? TruncateKey(ino) : fix.key();
  if (key.empty() || key[0] != (of_truncation ? kTruncateList : kOrphanList)) {
    return absl::InvalidArgumentError("no record of that list");
  }
  RETURN_IF_ERROR(names_->MutateInternally([&](Mutation& m) -> absl::Status {
    m.locks().LockInodes({{ino, true}});
    const auto inode = m.view().GetInode(ino);
    if (ErrnoOf(inode.status()) != ESTALE) {
      RETURN_IF_ERROR(inode.status());
      const bool right = of_truncation ? inode->truncate.id != 0 : inode->nlink == 0;
      if (right) return Changed();
    }
    m.Delete(Family::kOrphan, key);
    return absl::OkStatus();
  }));
  return std::string("removed the record");
}

absl::StatusOr<std::string> Fixes::RemoveXattrs(const wire::Fix& fix) {
  const InodeNumber ino(fix.ino());
  RETURN_IF_ERROR(names_->MutateInternally([&](Mutation& m) -> absl::Status {
    m.locks().LockInodes({{ino, true}});
    RETURN_IF_ERROR(CheckMissing(m, ino));
    return m.view().VisitXattrs(ino, [&](std::string_view name, std::string_view) {
      m.Delete(Family::kXattr, XattrKey(ino, name));
    });
  }));
  return std::string("removed the attributes");
}

// A difference stays right whatever was counted since.
absl::StatusOr<std::string> Fixes::AddToCounters(const wire::Fix& fix) {
  RETURN_IF_ERROR(names_->MutateInternally([&](Mutation& m) -> absl::Status {
    m.CountInodes(fix.inodes());
    Inode file;
    file.mode = S_IFREG;
    m.CountBytes(file, 0, static_cast<uint64_t>(fix.bytes()));
    return absl::OkStatus();
  }));
  return absl::StrCat("added ", fix.inodes(), " inodes and ", fix.bytes(), " bytes");
}

// The reclaimer has every target drop its chunks, after the grace.
absl::StatusOr<std::string> Fixes::DeleteContent(const wire::Fix& fix) {
  const wire::Layout& from = fix.layout();
  DeadContent dead;
  dead.layout.layout.content = ContentId(from.content_id());
  dead.layout.layout.seed = from.seed();
  dead.layout.layout.chunk_size_log2 = static_cast<uint8_t>(from.chunk_size_log2());
  dead.layout.layout.storage_class = from.storage_class();
  dead.chunk_count = fix.chunk_count();
  if (!dead.layout.layout.content.valid() || fix.chunk_count() == 0) {
    return absl::InvalidArgumentError("no content is named");
  }
  RETURN_IF_ERROR(names_->MutateInternally([&](Mutation& m) -> absl::Status {
    m.Put(Family::kOrphan, DeadContentKey(m.now(), dead.layout.layout.content),
          EncodeDeadContent(dead));
    return absl::OkStatus();
  }));
  return std::string("its chunks are deleted in the background");
}

absl::StatusOr<std::string> Fixes::TrimFile(const wire::Fix& fix) {
  const InodeNumber ino(fix.ino());
  RETURN_IF_ERROR(names_->MutateInternally([&](Mutation& m) -> absl::Status {
    m.locks().LockInodes({{ino, true}});
    ASSIGN_OR_RETURN(Inode inode, GetAsItWas(m, fix));
    if (!inode.is_regular() || inode.is_inline || inode.truncate.id != 0) return Changed();
    if (names_->sessions().OtherWriters(ino, SessionId())) return Changed();
    // Of no session, so that the reclaimer takes it at once.
    inode.truncate = {inode.change + 1, inode.size + fix.beyond_bytes(), SessionId()};
    m.Put(Family::kOrphan, TruncateKey(ino), "");
    m.PutInode(inode);
    return absl::OkStatus();
  }));
  return std::string("what lies behind its size is cut in the background");
}

}  // namespace penstock::metaserver

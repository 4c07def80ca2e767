#include "metaserver/ops/acl_records.h"

#include <cerrno>

#include "common/status.h"
#include "metaserver/acl/acl_mode.h"
#include "metaserver/ops/caller.h"
#include "metaserver/ops/xattr_rules.h"
#include "metaserver/store/keys.h"

namespace penstock::metaserver {

absl::StatusOr<Acl> GetAcl(const ReadView& view, const Inode& inode, std::string_view name) {
  if (!inode.has_acl) return Acl();
  auto record = view.GetXattr(inode.ino, name);
  if (!record.ok() && ErrnoOf(record.status()) == ENODATA) return Acl();
  if (!record.ok()) return record.status();
  RETURN_IF_ERROR(DecodeXattr(*record));
  auto acl = ParseAcl(*record);
  if (!acl.ok()) return absl::DataLossError("damaged access list");
  return acl;
}

void PutAcl(Mutation& m, Inode& inode, std::string_view name, const Acl& acl) {
  m.Put(Family::kXattr, XattrKey(inode.ino, name), EncodeXattr(FormatAcl(acl)));
  inode.has_acl = true;
}

absl::Status DropAcl(Mutation& m, Inode& inode, std::string_view name) {
  ASSIGN_OR_RETURN(const Acl dropped, GetAcl(m.view(), inode, name));
  if (dropped.entries.empty()) return PosixError(ENODATA, "no such attribute");
  ASSIGN_OR_RETURN(const Acl other,
                   GetAcl(m.view(), inode, name == kAccessAcl ? kDefaultAcl : kAccessAcl));
  m.Delete(Family::kXattr, XattrKey(inode.ino, name));
  inode.has_acl = !other.entries.empty();
  return absl::OkStatus();
}

absl::Status ChmodAcl(Mutation& m, Inode& inode) {
  ASSIGN_OR_RETURN(Acl acl, GetAcl(m.view(), inode, kAccessAcl));
  if (acl.entries.empty()) return absl::OkStatus();
  SetModeBits(acl, inode.mode);
  PutAcl(m, inode, kAccessAcl, acl);
  return absl::OkStatus();
}

absl::Status CheckAccess(const Mutation& m, const Inode& inode, uint32_t wanted) {
  GuardedInode guarded{inode.mode, inode.uid, inode.gid, {}};
  ASSIGN_OR_RETURN(guarded.access, GetAcl(m.view(), inode, kAccessAcl));
  if (MayAccess(guarded, CallerOf(m.context().credentials), wanted)) return absl::OkStatus();
  return PosixError(EACCES, "mode and access list do not let the caller in");
}

}  // namespace penstock::metaserver

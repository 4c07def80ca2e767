#include "metaserver/ops/set_ids.h"

#include <sys/stat.h>

namespace penstock::metaserver {

void KillSetIds(Inode& inode, const Caller& caller) {
  if (inode.is_directory()) return;
  inode.mode &= ~uint32_t{S_ISUID};
  if ((inode.mode & S_IXGRP) != 0 || !MaySetGroupId(caller, inode.gid)) {
    inode.mode &= ~uint32_t{S_ISGID};
  }
}

}  // namespace penstock::metaserver

#include "metaserver/ops/set_ids.h"

#include <sys/stat.h>

namespace penstock::metaserver {

void KillSetIds(Inode& inode) {
  if (inode.is_directory()) return;
  inode.mode &= ~uint32_t{S_ISUID};
  if (inode.mode & S_IXGRP) inode.mode &= ~uint32_t{S_ISGID};
}

}  // namespace penstock::metaserver

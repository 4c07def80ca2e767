// Who asks, as the rules of access see him.
#pragma once

#include "metaserver/acl/acl_access.h"
#include "metaserver/store/records.h"
#include "proto/types.pb.h"

namespace penstock::metaserver {

// `who` must outlive the caller.
inline Caller CallerOf(const wire::Credentials& who) {
  return {who.uid(), who.gid(), {who.groups().data(), static_cast<size_t>(who.groups().size())}};
}

// Whether he may leave set-group-id on what belongs to `group`.
inline bool MaySetGroupId(const Caller& caller, uint32_t group) {
  return caller.uid == 0 || caller.InGroup(group);
}

}  // namespace penstock::metaserver

// The reads of the namespace, for Namespace::Read. One file each.
#pragma once

#include <absl/status/status.h>

#include "metaserver/read_view.h"
#include "metaserver/service/map_source.h"
#include "proto/meta.pb.h"

namespace penstock::metaserver {

absl::Status Lookup(const ReadView& view, const wire::LookupRequest& request,
                    wire::EntryResponse& response);
absl::Status Getattr(const ReadView& view, const wire::GetattrRequest& request,
                     wire::EntryResponse& response);
absl::Status Readlink(const ReadView& view, const wire::ReadlinkRequest& request,
                      wire::ReadlinkResponse& response);
absl::Status Readdir(const ReadView& view, const wire::ReaddirRequest& request,
                     wire::ReaddirResponse& response);
absl::Status Getxattr(const ReadView& view, const wire::GetxattrRequest& request,
                      wire::GetxattrResponse& response);
absl::Status Listxattr(const ReadView& view, const wire::ListxattrRequest& request,
                       wire::ListxattrResponse& response);
// Inodes only; the service adds the cluster's space.
absl::Status Statfs(const ReadView& view, const wire::StatfsRequest& request,
                    wire::StatfsResponse& response);

}  // namespace penstock::metaserver

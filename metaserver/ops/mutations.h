// The mutations of the namespace, for Namespace::Mutate. One file each; each reads top to bottom:
// lock, load, check, change.
#pragma once

#include <absl/status/status.h>

#include "metaserver/mutation.h"
#include "proto/meta.pb.h"

namespace penstock::metaserver {

absl::Status Setattr(Mutation& m, const wire::SetattrRequest& request,
                     wire::SetattrResponse& response);
absl::Status TruncateDone(Mutation& m, const wire::TruncateDoneRequest& request,
                          wire::TruncateDoneResponse& response);
absl::Status Create(Mutation& m, const wire::CreateRequest& request,
                    wire::CreateResponse& response);
absl::Status Mkdir(Mutation& m, const wire::MkdirRequest& request, wire::EntryResponse& response);
absl::Status Mknod(Mutation& m, const wire::MknodRequest& request, wire::EntryResponse& response);
absl::Status Symlink(Mutation& m, const wire::SymlinkRequest& request,
                     wire::EntryResponse& response);
absl::Status Link(Mutation& m, const wire::LinkRequest& request, wire::EntryResponse& response);
absl::Status Unlink(Mutation& m, const wire::UnlinkRequest& request,
                    wire::UnlinkResponse& response);
absl::Status Rmdir(Mutation& m, const wire::RmdirRequest& request, wire::RmdirResponse& response);
absl::Status Rename(Mutation& m, const wire::RenameRequest& request,
                    wire::RenameResponse& response);
absl::Status BeginSharedWrite(Mutation& m, const wire::BeginSharedWriteRequest& request,
                              wire::EntryResponse& response);
// Registers the writer; changes records only with O_TRUNC.
absl::Status Open(Mutation& m, const wire::OpenRequest& request, wire::EntryResponse& response);
absl::Status Setxattr(Mutation& m, const wire::SetxattrRequest& request,
                      wire::EmptyResponse& response);
absl::Status Removexattr(Mutation& m, const wire::RemovexattrRequest& request,
                         wire::EmptyResponse& response);
absl::Status Publish(Mutation& m, const wire::PublishRequest& request,
                     wire::PublishResponse& response);

}  // namespace penstock::metaserver

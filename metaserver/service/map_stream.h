// The reactor of one WatchMap stream: the whole map (or what changed since the caller's version),
// then every change. A stream costs no thread while nothing happens.
#pragma once

#include <grpcpp/grpcpp.h>

#include "metaserver/service/map_source.h"
#include "proto/cluster.pb.h"

namespace penstock::metaserver {

// gRPC owns the reactor until the stream is done. `map` must outlive the gRPC server.
grpc::ServerWriteReactor<wire::ClusterMap>* NewMapStream(MapSource* map,
                                                         const wire::WatchMapRequest& request);

}  // namespace penstock::metaserver

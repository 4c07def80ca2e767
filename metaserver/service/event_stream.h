// The reactor of one FollowEvents stream: every event after the caller's last one. A stream costs
// no thread while nothing happens.
#pragma once

#include <grpcpp/grpcpp.h>

#include "metaserver/events/event_log.h"
#include "proto/admin.pb.h"

namespace penstock::metaserver {

// gRPC owns the reactor until the stream is done. `events` must outlive the gRPC server.
grpc::ServerWriteReactor<wire::EventList>* NewEventStream(EventLog* events,
                                                          const wire::FollowEventsRequest& request);

}  // namespace penstock::metaserver

#include "metaserver/service/event_stream.h"

#include "metaserver/service/watch_stream.h"

namespace penstock::metaserver {

grpc::ServerWriteReactor<wire::EventList>* NewEventStream(
    EventLog* events, const wire::FollowEventsRequest& request) {
  WatchSource<wire::EventList> source;
  source.ask = [events](uint64_t after, absl::Duration wait, auto answer) {
    events->Await(after, wait, std::move(answer));
  };
  source.next = [](uint64_t after, const wire::EventList& told) {
    return told.last() != 0 ? told.last() : after;
  };
  auto* stream = new WatchStream<wire::EventList>(std::move(source), request.after());
  stream->Ask();
  return stream;
}

}  // namespace penstock::metaserver

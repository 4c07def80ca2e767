#include "metaserver/service/map_stream.h"

#include "metaserver/service/watch_stream.h"

namespace penstock::metaserver {

grpc::ServerWriteReactor<wire::ClusterMap>* NewMapStream(MapSource* map,
                                                         const wire::WatchMapRequest& request) {
  WatchSource<wire::ClusterMap> source;
  source.ask = [map](uint64_t known, absl::Duration wait, auto answer) {
    map->GetMap(known, wait, std::move(answer));
  };
  source.next = [](uint64_t, const wire::ClusterMap& told) { return told.version(); };
  auto* stream = new WatchStream<wire::ClusterMap>(std::move(source), request.known_version());
  stream->Ask();
  return stream;
}

}  // namespace penstock::metaserver

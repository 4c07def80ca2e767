// MapWatcher keeps the cluster map fresh by long-polling the metaserver, on a thread and a
// connection of its own.
#pragma once

#include <thread>

#include "client/meta_transport.h"
#include "common/cluster_map.h"

namespace penstock::client {

class MapWatcher {
 public:
  // Both must outlive the watcher.
  MapWatcher(MetaTransport* transport, MapHolder* maps) : transport_(transport), maps_(maps) {}
  ~MapWatcher() { Stop(); }
  void Start();
  void Stop();

 private:
  void Run();

  MetaTransport* const transport_;
  MapHolder* const maps_;
  net::Interrupt stop_;
  std::thread thread_;
};

}  // namespace penstock::client

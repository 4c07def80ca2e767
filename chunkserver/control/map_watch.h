// MapWatch keeps the newest cluster map through the metaserver's WatchMap stream, on a thread of
// its own; a broken stream is opened again.
#pragma once

#include <memory>
#include <thread>

#include "chunkserver/control/grpc_calls.h"
#include "chunkserver/stop_flag.h"
#include "common/cluster_map.h"
#include "proto/cluster.grpc.pb.h"

namespace penstock::chunkserver {

class MapWatch {
 public:
  // Both outlive it.
  MapWatch(wire::Cluster::StubInterface* stub, MapHolder* map) : stub_(stub), map_(map) {}
  ~MapWatch() { Stop(); }
  void Start();
  void Stop();

 private:
  void Run();
  bool Follow();  // one stream to its end; true when it brought anything

  wire::Cluster::StubInterface* const stub_;
  MapHolder* const map_;
  bool whole_ = false;  // ask for the whole map; only Run() uses it
  StopFlag stop_;
  StoppableCalls calls_;
  std::thread thread_;
};

}  // namespace penstock::chunkserver

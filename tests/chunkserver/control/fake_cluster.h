// A metaserver's Cluster service for tests, within this process: it gives numbers, remembers what
// it was told, and answers with what the test has set. Thread-safe.
#pragma once

#include <absl/synchronization/mutex.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/cluster.grpc.pb.h"

namespace penstock::chunkserver {

class FakeCluster : public wire::Cluster::Service {
 public:
  FakeCluster() {
    grpc::ServerBuilder builder;
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeCluster() override {
    {
      absl::MutexLock lock(&mu_);
      stopping_ = true;
    }
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  }
  std::unique_ptr<wire::Cluster::Stub> Stub() {
    return wire::Cluster::NewStub(server_->InProcessChannel({}));
  }

  grpc::Status Register(grpc::ServerContext*, const wire::RegisterRequest* request,
                        wire::RegisterResponse* response) override {
    absl::MutexLock lock(&mu_);
    if (away_) return {grpc::StatusCode::UNAVAILABLE, "away"};
    registrations_.push_back(*request);
    response->set_cluster_id(cluster_id_);
    response->set_server_id(7);
    response->set_heartbeat_ms(20);
    for (int i = 0; i < request->targets_size(); ++i) {
      response->add_target_ids(i == removed_ ? 0 : 30 + i);
    }
    *response->mutable_map() = map_;
    known_ = true;
    return grpc::Status::OK;
  }

  grpc::Status Heartbeat(grpc::ServerContext*, const wire::HeartbeatRequest* request,
                         wire::HeartbeatResponse* response) override {
    absl::MutexLock lock(&mu_);
    if (away_) return {grpc::StatusCode::UNAVAILABLE, "away"};
    heartbeats_.push_back(*request);
    if (silent_) return {grpc::StatusCode::UNAVAILABLE, "the answer is lost"};
    *response = answer_;
    response->set_register_again(!known_);
    return grpc::Status::OK;
  }

  grpc::Status WatchMap(grpc::ServerContext* context, const wire::WatchMapRequest* request,
                        grpc::ServerWriter<wire::ClusterMap>* writer) override {
    uint64_t sent = request->known_version();
    while (!context->IsCancelled()) {
      std::optional<wire::ClusterMap> next;
      {
        absl::MutexLock lock(&mu_);
        if (stopping_ || away_) return {grpc::StatusCode::UNAVAILABLE, "away"};
        if (map_.version() > sent) next = map_;
      }
      if (next) {
        if (!writer->Write(*next)) break;
        sent = next->version();
      }
      absl::SleepFor(absl::Milliseconds(5));
    }
    return grpc::Status::OK;
  }

  void SetMap(const wire::ClusterMap& map) {
    absl::MutexLock lock(&mu_);
    map_ = map;
  }
  void SetAnswer(const wire::HeartbeatResponse& answer) {
    absl::MutexLock lock(&mu_);
    answer_ = answer;
  }
  void SetClusterId(const std::string& id) {
    absl::MutexLock lock(&mu_);
    cluster_id_ = id;
  }
  void SetAway(bool away) {
    absl::MutexLock lock(&mu_);
    away_ = away;
  }
  // Heartbeats arrive, their answers do not.
  void SetSilent(bool silent) {
    absl::MutexLock lock(&mu_);
    silent_ = silent;
  }
  // The target that stands there in registrations is out of the cluster.
  void Remove(int target) {
    absl::MutexLock lock(&mu_);
    removed_ = target;
  }
  void Forget() {
    absl::MutexLock lock(&mu_);
    known_ = false;
  }
  size_t registrations() const {
    absl::MutexLock lock(&mu_);
    return registrations_.size();
  }
  wire::RegisterRequest last_registration() const {
    absl::MutexLock lock(&mu_);
    return registrations_.empty() ? wire::RegisterRequest() : registrations_.back();
  }
  size_t heartbeats() const {
    absl::MutexLock lock(&mu_);
    return heartbeats_.size();
  }
  wire::HeartbeatRequest last_heartbeat() const {
    absl::MutexLock lock(&mu_);
    return heartbeats_.empty() ? wire::HeartbeatRequest() : heartbeats_.back();
  }

 private:
  mutable absl::Mutex mu_;
  bool away_ = false;
  bool silent_ = false;
  bool known_ = false;
  bool stopping_ = false;
  int removed_ = -1;
  std::string cluster_id_ = "test-cluster";
  wire::ClusterMap map_;
  wire::HeartbeatResponse answer_;
  std::vector<wire::RegisterRequest> registrations_;
  std::vector<wire::HeartbeatRequest> heartbeats_;
  std::unique_ptr<grpc::Server> server_;
};

// Waits for a condition, up to ten seconds.
template <typename Condition>
bool Eventually(Condition condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    absl::SleepFor(absl::Milliseconds(10));
  }
  return false;
}

}  // namespace penstock::chunkserver

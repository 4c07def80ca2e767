// What befalls a simulated cluster while it is not left alone.
#include "tests/simulation/simulation.h"

namespace penstock::simulation {
namespace {

constexpr int64_t kEveryMs = 50;

}  // namespace

bool Simulation::Befalls(double per_second) {
  return per_second > 0 && time_.Chance(per_second * kEveryMs / 1000);
}

void Simulation::MakeTrouble() {
  if (time_.now_ms() > shape_.troubled_ms) return Heal();
  const Faults& faults = shape_.faults;
  for (SimChunkserver& server : servers_) TroubleServer(server);
  if (Befalls(faults.blackout_second)) {
    for (SimChunkserver& server : servers_) server.CutPower();
  }
  TroubleMetaserver();
  if (Befalls(faults.cut_second)) CutSomething();
  if (Befalls(faults.operation_second) && metaserver_.up()) Operate();
  if (Befalls(faults.unlink_second)) Unlink();
  for (SimClient& client : clients_) {
    if (Befalls(faults.fence_second)) metaserver_.Fence(client.session());
  }
  time_.At(kEveryMs, [this] { MakeTrouble(); });
}

void Simulation::TroubleServer(SimChunkserver& server) {
  const Faults& faults = shape_.faults;
  if (!server.up()) return;
  if (Befalls(faults.stall_second)) network_.Stall(server.node(), time_.Pick(30, 1500));
  if (Befalls(faults.late_map_second)) server.DelayMaps(time_.Pick(100, 1500));
  if (Befalls(faults.failed_disk_second) && !server.disk_failed()) {
    server.FailDisk();
    time_.At(time_.Pick(1000, 4000), [&server] { server.RepairDisk(); });
  }
  if (Befalls(faults.crash_second)) return server.Crash();
  if (Befalls(faults.power_cut_second)) server.CutPower();
}

void Simulation::TroubleMetaserver() {
  const Faults& faults = shape_.faults;
  if (!metaserver_.up()) return;
  if (Befalls(faults.stall_second)) network_.Stall(metaserver_.node(), time_.Pick(30, 1500));
  if (Befalls(faults.full_metaserver_second)) {
    metaserver_.log().full = true;
    time_.At(time_.Pick(100, 1500), [this] { metaserver_.log().full = false; });
  }
  if (Befalls(faults.metaserver_crash_second)) metaserver_.Crash();
}

// One direction or both, between any two that talk to each other.
void Simulation::CutSomething() {
  std::vector<NodeId> nodes = {metaserver_.node()};
  for (SimChunkserver& server : servers_) nodes.push_back(server.node());
  for (SimClient& client : clients_) nodes.push_back(client.node());
  const int64_t last = static_cast<int64_t>(nodes.size()) - 1;
  const NodeId one = nodes[static_cast<size_t>(time_.Pick(0, last))];
  // Servers and the metaserver have more to say to each other.
  const NodeId other = nodes[static_cast<size_t>(time_.Pick(0, shape_.servers))];
  const int64_t for_ms = time_.Pick(100, 3000);
  const bool both = time_.Chance(0.5);
  network_.Cut(one, other);
  if (both) network_.Cut(other, one);
  time_.At(for_ms, [this, one, other] {
    network_.Mend(one, other);
    network_.Mend(other, one);
  });
}

// Whatever an operator may ask for; a refusal is fine.
void Simulation::Operate() {
  metaserver::ClusterState& state = metaserver_.state();
  const auto any_target = [&] {
    return static_cast<uint32_t>(time_.Pick(1, shape_.servers * shape_.targets_each));
  };
  wire::DrainTargetRequest drain;
  drain.set_target_id(any_target());
  if (time_.Chance(0.3)) drain.set_onto(any_target());
  const GroupId group{1, static_cast<uint32_t>(time_.Pick(0, shape_.groups - 1))};
  switch (time_.Pick(0, 6)) {
    case 0:
    case 1:
      state.DrainTarget(drain).status().IgnoreError();
      break;
    case 2:
      state.UndrainTarget(TargetId(drain.target_id())).status().IgnoreError();
      break;
    case 3:
      state.StartRebalance({}).status().IgnoreError();
      break;
    case 4:
      state.StopRebalance().status().IgnoreError();
      break;
    default:
      state.SyncCopy(group, TargetId(any_target())).IgnoreError();
      break;
  }
  metaserver_.Look();
}

// A file is deleted; the first stays.
void Simulation::Unlink() {
  const FileLayout& layout = contents_[static_cast<size_t>(time_.Pick(0, shape_.contents - 1))];
  if (layout.content == contents_.front().content || checks_.IsUnlinked(layout.content)) return;
  checks_.Unlinked(layout.content);
  time_.At(time_.Pick(0, 300),
           [this, layout] { metaserver_.Delete(layout, static_cast<uint64_t>(shape_.chunks)); });
}

void Simulation::Heal() {
  time_.Trace("all is well");
  calm_ = true;
  network_.SetFaults({});
  network_.MendAll();
  metaserver_.log().full = false;
  metaserver_.log().crash = 0;
  server_parts_.full_disk = 0;
  client_parts_.patient = true;
}

}  // namespace penstock::simulation

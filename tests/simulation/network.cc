#include "tests/simulation/network.h"

namespace penstock::simulation {

NodeId Network::Add() {
  nodes_.emplace_back();
  return static_cast<NodeId>(nodes_.size()) - 1;
}

void Network::Up(NodeId node) {
  nodes_[node].up = true;
  nodes_[node].dark = false;
  nodes_[node].stalled_until_ms = 0;
}

void Network::Down(NodeId node) {
  nodes_[node].up = false;
  ++nodes_[node].incarnation;
}

void Network::Stall(NodeId node, int64_t for_ms) {
  nodes_[node].stalled_until_ms = time_->now_ms() + for_ms;
}

void Network::RunIn(NodeId node, int incarnation, const std::function<void()>& what) {
  const Node& in = nodes_[node];
  if (!in.up || in.incarnation != incarnation) return;
  if (in.stalled_until_ms <= time_->now_ms()) return what();
  time_->At(in.stalled_until_ms - time_->now_ms(),
            [this, node, incarnation, what] { RunIn(node, incarnation, what); });
}

void Network::In(NodeId node, int64_t delay_ms, std::function<void()> what) {
  time_->At(delay_ms, [this, node, incarnation = nodes_[node].incarnation, what = std::move(what)] {
    RunIn(node, incarnation, what);
  });
}

bool Network::Arrives(NodeId from, NodeId to) {
  return !IsCut(from, to) && !time_->Chance(faults_.loss);
}

int64_t Network::Delay() {
  return time_->Chance(faults_.long_delay) ? time_->Pick(20, 400) : time_->Pick(1, 8);
}

void Network::Send(NodeId from, NodeId to, std::function<void()> deliver,
                   std::function<void()> refused) {
  const Node& there = nodes_[to];
  if (!there.up) {
    if (!there.dark && !IsCut(from, to) && !IsCut(to, from)) {
      In(from, time_->Pick(1, 5), std::move(refused));
    }
    return;
  }
  if (!Arrives(from, to)) return;
  const int copies = time_->Chance(faults_.doubling) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    time_->At(Delay(), [this, from, to, incarnation = there.incarnation, deliver, refused] {
      if (IsCut(from, to)) return;
      const Node& now = nodes_[to];
      if (now.up && now.incarnation == incarnation) return RunIn(to, incarnation, deliver);
      if (!now.dark && !IsCut(to, from)) In(from, 1, refused);
    });
  }
}

}  // namespace penstock::simulation

// Network carries calls between the processes of a simulated cluster: it delays, loses, doubles and
// reorders them, cuts one direction between two nodes, and knows which processes are up or stand
// still. What is under way belongs to a connection, which dies with the process that it leads to.
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "tests/simulation/shape.h"
#include "tests/simulation/timeline.h"

namespace penstock::simulation {

using NodeId = int;  // an index into the network's nodes

template <typename R>
using Reply = std::function<void(R)>;

// Of a call whose result is itself a Status or StatusOr.
template <typename R>
R Flat(const absl::Status& call, R result) {
  return call.ok() ? std::move(result) : R(call);
}

class Network {
 public:
  // `time` outlives it.
  explicit Network(Timeline* time) : time_(time) {}

  NodeId Add();
  void Up(NodeId node);    // another process
  void Down(NodeId node);  // its process ends
  // A machine without power does not even refuse.
  void Dark(NodeId node, bool dark) { nodes_[node].dark = dark; }
  bool up(NodeId node) const { return nodes_[node].up; }
  void Stall(NodeId node, int64_t for_ms);
  void Cut(NodeId from, NodeId to) { cuts_.insert({from, to}); }
  void Mend(NodeId from, NodeId to) { cuts_.erase({from, to}); }
  void MendAll() { cuts_.clear(); }
  void SetFaults(const Faults& faults) { faults_ = faults; }

  // Runs `what` in the node's present process, unless that has ended by then; later when it stands
  // still.
  void In(NodeId node, int64_t delay_ms, std::function<void()> what);

  // `serve` runs at `to` and may answer at once or later; `done` runs at `from`, once: with OK and
  // the answer, or with UNAVAILABLE (refused, broken: or was it done?) or DEADLINE_EXCEEDED.
  template <typename R>
  void Call(NodeId from, NodeId to, int64_t timeout_ms, std::function<void(Reply<R>)> serve,
            std::function<void(absl::Status, R)> done) {
    auto waiting = std::make_shared<std::function<void(absl::Status, R)>>(std::move(done));
    // An answer to a process that has ended is nobody's.
    auto once = [this, from, mine = nodes_[from].incarnation, waiting](absl::Status call,
                                                                       R result) {
      if (nodes_[from].incarnation != mine) return;
      if (auto finish = std::exchange(*waiting, nullptr)) {
        finish(std::move(call), std::move(result));
      }
    };
    In(from, timeout_ms, [once] { once(absl::DeadlineExceededError("no answer"), R()); });
    auto answer = [this, from, to, once](R result) {
      if (!Arrives(to, from)) return;
      In(from, Delay(), [this, from, to, once, result = std::move(result)] {
        if (!IsCut(to, from)) once(absl::OkStatus(), result);
      });
    };
    auto refused = [once] {
      once(absl::UnavailableError("refused, or the connection broke"), R());
    };
    Send(
        from, to, [serve = std::move(serve), answer] { serve(answer); }, refused);
  }

 private:
  struct Node {
    bool up = false;
    bool dark = false;
    int incarnation = 0;
    int64_t stalled_until_ms = 0;
  };
  bool IsCut(NodeId from, NodeId to) const { return cuts_.contains({from, to}); }
  bool Arrives(NodeId from, NodeId to);
  int64_t Delay();
  void Send(NodeId from, NodeId to, std::function<void()> deliver, std::function<void()> refused);
  void RunIn(NodeId node, int incarnation, const std::function<void()>& what);

  Timeline* const time_;
  Faults faults_;
  std::vector<Node> nodes_;
  std::set<std::pair<NodeId, NodeId>> cuts_;
};

}  // namespace penstock::simulation

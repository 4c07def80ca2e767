// Accepts connections and spreads them over the reactors. Lives on the first reactor.
#pragma once

#include <memory>
#include <vector>

#include "common/net/reactor.h"
#include "common/net/rpc_server_state.h"
#include "common/net/transport.h"

namespace penstock::net {

class Acceptor : public EventHandler, public std::enable_shared_from_this<Acceptor> {
 public:
  Acceptor(std::shared_ptr<ServerState> state, std::unique_ptr<Listener> listener,
           std::vector<std::shared_ptr<Reactor>> reactors);

  void Open();  // on the first reactor's thread

  void OnEvents(uint32_t events) override;
  void OnTick(absl::Duration now) override;
  void OnStop() override { Close(); }
  void OnAbort() override { Close(); }

 private:
  void TurnAway(Link* link);
  void Close();

  const std::shared_ptr<ServerState> state_;
  std::unique_ptr<Listener> listener_;  // null once closed
  const std::vector<std::shared_ptr<Reactor>> reactors_;
  size_t next_reactor_ = 0;
  bool paused_ = false;  // no descriptors left: epoll would report the waiting peers endlessly
};

}  // namespace penstock::net

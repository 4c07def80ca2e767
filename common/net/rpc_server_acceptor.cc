#include "common/net/rpc_server_acceptor.h"

#include <spdlog/spdlog.h>
#include <sys/epoll.h>

#include "common/net/rpc_server_connection.h"
#include "common/status.h"

namespace penstock::net {
namespace {

constexpr int kAcceptsPerTurn = 64;

}  // namespace

Acceptor::Acceptor(std::shared_ptr<ServerState> state, std::unique_ptr<Listener> listener,
                   std::vector<std::shared_ptr<Reactor>> reactors)
    : state_(std::move(state)), listener_(std::move(listener)), reactors_(std::move(reactors)) {}

void Acceptor::Open() { reactors_[0]->Add(shared_from_this(), listener_->fd(), EPOLLIN); }

void Acceptor::OnEvents(uint32_t) {
  for (int i = 0; i < kAcceptsPerTurn && listener_ != nullptr; ++i) {
    auto link = listener_->Accept();
    if (!link.ok()) {
      // Until the next tick; connections that end meanwhile free descriptors.
      paused_ = true;
      reactors_[0]->SetInterest(this, listener_->fd(), 0);
      state_->counters.accept_pauses.fetch_add(1, std::memory_order_relaxed);
      SPDLOG_WARN("accepting paused error=\"{}\"", std::string(link.status().message()));
      return;
    }
    if (*link == nullptr) return;
    if (state_->connections.load() >= state_->options.max_connections) {
      TurnAway(link->get());
      continue;
    }
    const auto& reactor = reactors_[next_reactor_++ % reactors_.size()];
    auto connection = std::make_shared<ServerConnection>(state_, reactor, std::move(*link));
    reactor->Post([connection] { connection->Open(); });
  }
}

void Acceptor::TurnAway(Link* link) {
  state_->counters.turned_away.fetch_add(1, std::memory_order_relaxed);
  OutgoingFrame frame;
  frame.head = EncodeReply({0, 0, true}, absl::UnavailableError("server has too many connections"),
                           nullptr, 0);
  (void)link->Send(&frame);  // as much as the fresh socket takes, which is all of it
}

void Acceptor::OnTick(absl::Duration) {
  if (listener_ != nullptr) listener_->OnTick();
  if (!paused_ || listener_ == nullptr) return;
  paused_ = false;
  reactors_[0]->SetInterest(this, listener_->fd(), EPOLLIN);
}

void Acceptor::Close() {
  if (listener_ == nullptr) return;
  reactors_[0]->Remove(this, listener_->fd());
  listener_.reset();
}

}  // namespace penstock::net

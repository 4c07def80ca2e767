// One accepted connection: handshake, frames in, replies out. Lives on one reactor; replies may be
// finished from any thread and are written by it at once when the socket takes them.
//
// Stages: kHandshake -> kHead <-> (kAwaitMemory ->) kPayload; kRefused after an error that the peer
// gets to read; kClosed.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <atomic>
#include <deque>
#include <memory>

#include "common/net/handshake.h"
#include "common/net/reactor.h"
#include "common/net/rpc_server_state.h"
#include "common/net/transport.h"

namespace penstock::net {

class ServerConnection : public EventHandler,
                         public std::enable_shared_from_this<ServerConnection> {
 public:
  ServerConnection(std::shared_ptr<ServerState> state, std::shared_ptr<Reactor> reactor,
                   std::unique_ptr<Link> link);
  ~ServerConnection() override;

  void Open();  // on the reactor's thread, once

  void OnEvents(uint32_t events) override;
  void OnTick(absl::Duration now) override;
  void OnStop() override;
  void OnAbort() override { Close(); }

  struct Reply {
    OutgoingFrame frame;
    PayloadBuffer payload;   // what frame.payload points into
    bool ends_call = false;  // one call less in flight once it is sent
  };
  void SendReply(Reply reply);  // any thread

  const std::string& peer_address() const { return link_->peer_address(); }
  wire::PeerRole role() const { return handshake_.role(); }
  bool alive() const { return alive_.load(std::memory_order_acquire); }
  ServerState& state() { return *state_; }

 private:
  enum class Stage { kHandshake, kHead, kAwaitMemory, kPayload, kRefused, kClosed };

  // On the reactor's thread.
  void Read();
  void ReadSome();
  bool TakeHead();  // these three: true when the next frame may be looked at
  bool TakeHandshake();
  bool TakePayload();
  bool Dispatch();
  void OnMemory();
  void OnHeadError(const absl::Status& status);
  void Refuse(uint64_t request_id, const absl::Status& status);
  void SetReading(bool reading);
  void ResumeReading();
  void Close();
  bool CloseIfDrained();
  void LingerOnceSent();
  void NoteGone();  // once: one connection less
  void LogRefusal(const absl::Status& status);

  bool all_sent();
  bool MayResumeLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FlushLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void UpdateInterestLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::shared_ptr<ServerState> state_;
  const std::shared_ptr<Reactor> reactor_;
  // Sending under mu_ and only while !closed_; receiving and closing on the reactor's thread,
  // closing under mu_ too.
  const std::unique_ptr<Link> link_;
  std::atomic<bool> alive_{true};

  // Of the reactor's thread.
  ServerHandshake handshake_;
  Stage stage_ = Stage::kHandshake;
  bool draining_ = false;  // Stop() was asked
  uint64_t reserved_ = 0;  // of the payload being received
  PayloadBuffer payload_;
  IncomingPayload incoming_;
  absl::Time arrived_;
  absl::Duration since_;  // when this stage began (handshake, refused)
  absl::Duration last_received_;

  absl::Mutex mu_;
  std::deque<Reply> output_ ABSL_GUARDED_BY(mu_);  // at most the calls in flight and one refusal
  int in_flight_ ABSL_GUARDED_BY(mu_) = 0;
  bool reading_ ABSL_GUARDED_BY(mu_) = true;
  bool paused_ ABSL_GUARDED_BY(mu_) = false;  // too many in flight
  bool notify_drained_ ABSL_GUARDED_BY(mu_) = false;
  bool broken_ ABSL_GUARDED_BY(mu_) = false;  // a send failed
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  uint32_t interest_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Duration last_sent_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::net

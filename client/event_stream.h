// EventStream hears what the metaserver has to tell this mount: a long poll, one thread. Each
// event goes to the handler once; the handler acknowledges it at once or later, from any thread.
// Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <thread>
#include <vector>

#include "client/meta_transport.h"
#include "client/session.h"

namespace penstock::client {

class EventStream {
 public:
  // What the handler says of an event.
  enum class Handled { kDone, kLater };
  // `ack` has the event's number; the handler adds what is open here.
  using Handler = std::function<Handled(SessionId, const wire::SessionEvent&, wire::EventAck* ack)>;

  // `polls` carries only the long poll, `acks` what cannot wait for the next one. All pointers must
  // outlive it.
  EventStream(MetaTransport* polls, MetaTransport* acks, Session* session, Handler handler);
  ~EventStream() { Stop(); }
  void Start();
  void Stop();

  // For an event that was handled kLater. Returns when the metaserver has it, or the session is
  // another one.
  void Acknowledge(SessionId session, const wire::EventAck& ack);

 private:
  void Run();
  absl::Status PollOnce();
  absl::Status SendAck(SessionId session, const wire::EventAck& ack);

  MetaTransport* const polls_;
  MetaTransport* const acks_;
  Session* const session_;
  const Handler handler_;
  net::Interrupt stop_;
  std::thread thread_;
  // Of the thread.
  SessionId polled_;  // the session of the last poll
  uint64_t received_ = 0;
  std::vector<wire::EventAck> done_;  // to go with the next poll
};

}  // namespace penstock::client

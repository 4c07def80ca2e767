// Session is this mount's standing with the metaserver: opened once, kept alive by a heartbeat
// thread that also reports open files, and opened anew when the metaserver no longer knows it.
// Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "client/hold_table.h"
#include "client/meta_transport.h"
#include "client/op_context.h"
#include "common/clock.h"
#include "common/ids.h"
#include "proto/meta.pb.h"

namespace penstock::client {

struct SessionOptions {
  std::string subdir;
  std::string mountpoint;
  absl::Duration open_timeout = absl::Seconds(60);  // of Open() and Renew()
  absl::Duration call_timeout = absl::Seconds(3);   // of one heartbeat
  uint64_t client = 0;                              // counts the clients of one session
};

// The metaserver knows the session no longer.
bool SessionEnded(const absl::Status& status);

// What happens to a session; called from the thread that noticed, with no lock held.
struct SessionEvents {
  // Everything of `lost` is gone: its dirty data can no longer be written.
  std::function<void(SessionId lost)> on_lost;
  // The metaserver was started anew: what is cached may be newer than what it knows.
  std::function<void()> on_server_restart;
  // The connections to show in `penstock client ls`.
  std::function<void(wire::SessionHeartbeatRequest*)> add_transports;
  // What a heartbeat says of leases and locks: everything held (`whole`), or what was given up.
  std::function<void(bool whole, wire::SessionHeartbeatRequest*)> add_leases;
  // The heartbeat that carried those was answered, or not.
  std::function<void(bool acknowledged)> leases_reported;
  // The leases are gone: nothing cached is served from now on.
  std::function<void()> on_leases_lost;
  // Waits until the kernel has none of it either; not for long.
  std::function<void()> await_dropped;
  // Leases are good until then (SinceBoot).
  std::function<void(absl::Duration until)> on_leases_kept;
};

class Session {
 public:
  // `transport` and `holds` must outlive the session.
  Session(MetaTransport* transport, HoldTable* holds, Clock* clock, SessionOptions options);
  ~Session();

  void SetEvents(SessionEvents events) { events_ = std::move(events); }  // before Start()
  absl::Status Open(const OpContext& op);                                // the first session
  // Instead of Open(): goes on with the session of a client that died, as opened() said it.
  void Resume(wire::OpenSessionResponse opened);
  wire::OpenSessionResponse opened() const;
  void Start();  // the heartbeat thread
  void Stop();   // joins it, then closes the session
  void Leave();  // joins it; the session goes on without this client
  SessionId id() const;
  wire::Entry root() const;  // as it was when the session was opened
  std::string cluster_id() const;
  // After the metaserver said that it does not know `lost`. Returns when another one is open, and
  // the kernel has nothing more of what was cached under that one.
  absl::Status Renew(SessionId lost, const OpContext& op);

 private:
  absl::Status RenewOnce(SessionId lost, const OpContext& op);
  // Repeats the call while another try may help, for the time that opening may take.
  absl::Status CallPatiently(wire::Method method, const google::protobuf::Message& request,
                             google::protobuf::Message* response, const OpContext& op);
  absl::StatusOr<wire::OpenSessionResponse> OpenOnce(const OpContext& op);
  absl::Status TellHeld(const wire::OpenSessionResponse& opened, const OpContext& op);
  void Run();
  void Beat(bool* again);
  // Takes an answer over. Whether the next heartbeat must follow at once.
  bool TakeAnswer(const wire::SessionHeartbeatRequest& request,
                  const wire::SessionHeartbeatResponse& response, absl::Duration sent);
  void KeepLeases(absl::Duration sent);

  MetaTransport* const transport_;
  HoldTable* const holds_;
  Clock* const clock_;
  const SessionOptions options_;
  SessionEvents events_;
  net::Interrupt stop_;
  std::thread thread_;

  absl::Mutex renew_mu_;  // one renewal at a time; before mu_
  mutable absl::Mutex mu_;
  wire::OpenSessionResponse open_ ABSL_GUARDED_BY(mu_);
  bool whole_ ABSL_GUARDED_BY(mu_) = true;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t lease_generation_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t seen_log_index_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace penstock::client

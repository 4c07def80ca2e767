// The bounded pool of connections behind an RpcClient. Thread-safe. A connection is lent to one
// call at a time; callers beyond the bound wait in line and are handed what is given back.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "common/net/rpc_client.h"
#include "common/net/rpc_client_connection.h"

namespace penstock::net {

struct RpcClient::Pool {
 public:
  Pool(Transport* transport, std::vector<wire::Address> addresses, RpcClientOptions options);
  ~Pool();

  // An idle connection, else a new one, else waits for one.
  absl::StatusOr<std::unique_ptr<ClientConnection>> Borrow(const WaitLimit& limit);
  void GiveBack(std::unique_ptr<ClientConnection> connection);  // ready for the next request
  void Discard(std::unique_ptr<ClientConnection> connection);   // closes it
  // The connection broke while a call used it.
  void NoteBroken(const ClientConnection& connection) {
    transport_->OnBroken(connection.address());
  }

  void SetAddresses(std::vector<wire::Address> addresses);
  void CloseIdle();
  int open_connections() const;
  std::string transport_name() const;  // of the last connection that was made
  std::string why_not_rdma() const;

  RpcClientCounters counters;

 private:
  struct Waiter;  // in line for a connection, or for the right to open one

  absl::StatusOr<std::unique_ptr<ClientConnection>> Connect(const WaitLimit& limit);
  absl::StatusOr<std::unique_ptr<ClientConnection>> ConnectAny(const WaitLimit& limit);
  absl::Status WaitInLine(Waiter* waiter, const WaitLimit& limit);
  std::unique_ptr<ClientConnection> TakeIdle();
  void FreeSlot();
  std::vector<std::unique_ptr<ClientConnection>> ExpiredLocked(absl::Duration now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  void NoteConnected(const ClientConnection& connection);

  Transport* const transport_;  // not owned
  const RpcClientOptions options_;
  mutable absl::Mutex mu_;
  std::vector<wire::Address> addresses_ ABSL_GUARDED_BY(mu_);
  size_t next_address_ ABSL_GUARDED_BY(mu_) = 0;            // the one that last answered
  absl::Duration look_for_better_at_ ABSL_GUARDED_BY(mu_);  // as kLookForBetter
  std::string transport_name_ ABSL_GUARDED_BY(mu_);
  std::deque<std::unique_ptr<ClientConnection>> idle_ ABSL_GUARDED_BY(mu_);  // latest used last
  std::deque<Waiter*> waiters_ ABSL_GUARDED_BY(mu_);
  int open_ ABSL_GUARDED_BY(mu_) = 0;  // idle, lent or being opened
};

}  // namespace penstock::net

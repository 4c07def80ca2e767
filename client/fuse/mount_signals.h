// MountSignals ends a mount's client: SIGTERM, SIGINT and SIGHUP unmount, SIGUSR1 makes way for
// another client. They must be blocked in every thread (BlockMountSignals).
#pragma once

#include <csignal>

#include <atomic>
#include <functional>
#include <thread>

#include "client/fuse/kernel_session.h"

namespace penstock::client {

sigset_t MountSignalSet();

// In this thread and those it starts later.
void BlockMountSignals();

class MountSignals {
 public:
  // `kernel` must outlive this; `flush` brings everything written to the servers.
  MountSignals(KernelSession* kernel, std::function<void()> flush)
      : kernel_(kernel), flush_(std::move(flush)) {}

  void Start();  // from the thread that calls kernel->Serve()
  void Stop();   // Serve() has returned
  bool restart() const { return restart_; }

 private:
  void Run();
  void Unmount();
  void MakeWay();

  KernelSession* const kernel_;
  const std::function<void()> flush_;
  std::thread thread_;
  std::atomic<bool> ended_{false};
  std::atomic<bool> restart_{false};
};

}  // namespace penstock::client

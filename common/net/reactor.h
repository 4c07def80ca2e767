// Reactor: one thread that waits on epoll and runs what became ready. Handlers live on their
// reactor's thread; other threads hand it work with Post(). Nothing that runs here may wait.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/functional/any_invocable.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace penstock::net {

// All calls come on the reactor's thread.
class EventHandler {
 public:
  virtual ~EventHandler() = default;
  virtual void OnEvents(uint32_t events) = 0;   // EPOLL bits
  virtual void OnTick(absl::Duration now) = 0;  // now and then, for timeouts
  virtual void OnStop() = 0;                    // finish, then Remove() yourself
  virtual void OnAbort() = 0;                   // the time to finish is over
};

class Reactor {
 public:
  // `tick`: how often OnTick is called while there are handlers.
  Reactor(std::string name, absl::Duration tick);
  ~Reactor();  // after Join(), or never started

  absl::Status Start();
  // Runs `work` soon on the reactor's thread; dropped after the reactor ended.
  void Post(absl::AnyInvocable<void() &&> work);
  // Asks all handlers to finish; those still there at `deadline` (Clock::SinceBoot) are aborted.
  void BeginStop(absl::Duration deadline);
  void Join();

  // On the reactor's thread only. The reactor holds `handler` until Remove().
  void Add(std::shared_ptr<EventHandler> handler, int fd, uint32_t events);
  void Remove(EventHandler* handler, int fd);
  // From any thread, while `fd` is open and added.
  void SetInterest(EventHandler* handler, int fd, uint32_t events);

 private:
  void Run();
  void RunPosted();
  void Tick(absl::Duration now);
  int WaitMs(absl::Duration now);
  void StopHandlers();
  void AbortHandlers();
  std::vector<std::shared_ptr<EventHandler>> Handlers() const;

  const std::string name_;
  const absl::Duration tick_;
  int epoll_fd_ = -1;
  int wake_fd_ = -1;
  std::thread thread_;

  // Of the reactor's thread.
  absl::flat_hash_map<EventHandler*, std::shared_ptr<EventHandler>> handlers_;
  std::vector<std::shared_ptr<EventHandler>> removed_;  // kept until the batch of events is over
  absl::Duration next_tick_;
  bool stopping_ = false;

  absl::Mutex mu_;  // innermost
  std::vector<absl::AnyInvocable<void() &&>> posted_ ABSL_GUARDED_BY(mu_);
  absl::Duration stop_deadline_ ABSL_GUARDED_BY(mu_) = absl::InfiniteDuration();
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace penstock::net

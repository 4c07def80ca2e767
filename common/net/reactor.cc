#include "common/net/reactor.h"

#include <absl/strings/str_cat.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/clock.h"
#include "common/status.h"

namespace penstock::net {
namespace {

constexpr int kEventsAtOnce = 64;

thread_local const Reactor* running_here = nullptr;

}  // namespace

Reactor::Reactor(std::string name, absl::Duration tick) : name_(std::move(name)), tick_(tick) {}

Reactor::~Reactor() {
  INVARIANT(!thread_.joinable());
  if (epoll_fd_ >= 0) close(epoll_fd_);
  if (wake_fd_ >= 0) close(wake_fd_);
}

absl::Status Reactor::Start() {
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (epoll_fd_ < 0 || wake_fd_ < 0) {
    return PosixError(errno, absl::StrCat("reactor: ", std::strerror(errno)));
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;  // the wake-up
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event) != 0) {
    return PosixError(errno, absl::StrCat("reactor: ", std::strerror(errno)));
  }
  next_tick_ = SystemClock()->SinceBoot() + tick_;
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void Reactor::Post(absl::AnyInvocable<void() &&> work) {
  bool wake = false;
  {
    absl::MutexLock lock(&mu_);
    if (ended_) return;
    wake = posted_.empty() && running_here != this;
    posted_.push_back(std::move(work));
  }
  if (wake) (void)!eventfd_write(wake_fd_, 1);
}

void Reactor::BeginStop(absl::Duration deadline) {
  {
    absl::MutexLock lock(&mu_);
    stop_deadline_ = deadline;
  }
  Post([this] { StopHandlers(); });
}

void Reactor::Join() {
  if (thread_.joinable()) thread_.join();
}

void Reactor::Add(std::shared_ptr<EventHandler> handler, int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = handler.get();
  INVARIANT(epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0);
  EventHandler* key = handler.get();
  handlers_.emplace(key, std::move(handler));
  if (stopping_) key->OnStop();
}

void Reactor::Remove(EventHandler* handler, int fd) {
  (void)epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
  auto it = handlers_.find(handler);
  if (it == handlers_.end()) return;
  removed_.push_back(std::move(it->second));
  handlers_.erase(it);
}

void Reactor::SetInterest(EventHandler* handler, int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = handler;
  (void)epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event);
}

void Reactor::Run() {
  running_here = this;
  pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
  epoll_event events[kEventsAtOnce];
  while (true) {
    RunPosted();
    removed_.clear();
    const absl::Duration now = SystemClock()->SinceBoot();
    if (stopping_) {
      absl::MutexLock lock(&mu_);
      if (handlers_.empty() || now >= stop_deadline_) break;
    }
    if (now >= next_tick_) Tick(now);
    const int count = epoll_wait(epoll_fd_, events, kEventsAtOnce, WaitMs(now));
    for (int i = 0; i < count; ++i) {
      auto* handler = static_cast<EventHandler*>(events[i].data.ptr);
      if (handler != nullptr) {
        // A handler removed earlier in this batch is still alive in removed_ and ignores this.
        handler->OnEvents(events[i].events);
      } else {
        eventfd_t value;
        (void)!eventfd_read(wake_fd_, &value);
      }
    }
  }
  AbortHandlers();
}

void Reactor::RunPosted() {
  std::vector<absl::AnyInvocable<void() &&>> work;
  {
    absl::MutexLock lock(&mu_);
    work.swap(posted_);
  }
  for (auto& item : work) std::move(item)();
}

std::vector<std::shared_ptr<EventHandler>> Reactor::Handlers() const {
  std::vector<std::shared_ptr<EventHandler>> all;
  all.reserve(handlers_.size());
  for (const auto& [key, handler] : handlers_) all.push_back(handler);
  return all;
}

void Reactor::Tick(absl::Duration now) {
  for (const auto& handler : Handlers()) handler->OnTick(now);
  next_tick_ = now + tick_;
}

int Reactor::WaitMs(absl::Duration now) {
  absl::Duration until = absl::InfiniteDuration();
  if (!handlers_.empty()) until = next_tick_;
  {
    absl::MutexLock lock(&mu_);
    if (!posted_.empty()) return 0;
    if (stopping_) until = std::min(until, stop_deadline_);
  }
  if (until == absl::InfiniteDuration()) return -1;
  const int64_t ms = absl::ToInt64Milliseconds(absl::Ceil(until - now, absl::Milliseconds(1)));
  return static_cast<int>(std::clamp<int64_t>(ms, 0, 60'000));
}

void Reactor::StopHandlers() {
  stopping_ = true;
  for (const auto& handler : Handlers()) handler->OnStop();
}

void Reactor::AbortHandlers() {
  for (const auto& handler : Handlers()) handler->OnAbort();
  std::vector<absl::AnyInvocable<void() &&>> unrun;  // destroyed outside the lock
  {
    absl::MutexLock lock(&mu_);
    ended_ = true;
    unrun.swap(posted_);
  }
  unrun.clear();
  removed_.clear();
}

}  // namespace penstock::net

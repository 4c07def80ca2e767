#include "common/net/rdma_events.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/clock.h"
#include "common/net/rdma_failure.h"
#include "common/status.h"

namespace penstock::net {
namespace {

constexpr int kLeaverPollMs = 2;
constexpr size_t kMostLeavers = 1024;  // the oldest end at once beyond that

bool Done(RdmaLeaver& leaver) {
  ibv_wc completions[16];
  while (true) {
    auto count = leaver.endpoint->Poll(absl::MakeSpan(completions));
    if (!count.ok()) return true;
    if (*count == 0) return leaver.endpoint->disconnected();
    for (const ibv_wc& each : absl::MakeSpan(completions, *count)) {
      if (each.status != IBV_WC_SUCCESS) return true;
      if ((each.wr_id & RdmaEndpoint::kReceiveFlag) == 0 && each.wr_id >= leaver.last_send) {
        return true;
      }
    }
  }
}

}  // namespace

rdma_event_channel* NewRdmaChannel() {
  rdma_event_channel* channel = rdma_create_event_channel();
  if (channel == nullptr) return nullptr;
  if (fcntl(channel->fd, F_SETFL, fcntl(channel->fd, F_GETFL) | O_NONBLOCK) == 0 &&
      fcntl(channel->fd, F_SETFD, FD_CLOEXEC) == 0) {
    return channel;
  }
  const int err = errno;
  rdma_destroy_event_channel(channel);
  errno = err;
  return nullptr;
}

absl::StatusOr<std::unique_ptr<RdmaEvents>> RdmaEvents::Start() {
  rdma_event_channel* channel = NewRdmaChannel();
  if (channel == nullptr) {
    return RdmaError(RdmaFailure::kNoDevice, absl::StrCat("rdma_cm: ", std::strerror(errno)));
  }
  const int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) {
    rdma_destroy_event_channel(channel);
    return absl::ResourceExhaustedError(absl::StrCat("eventfd: ", std::strerror(errno)));
  }
  std::unique_ptr<RdmaEvents> events(new RdmaEvents(channel, wake_fd));
  events->thread_ = std::thread([loop = events.get()] { loop->Run(); });
  return events;
}

RdmaEvents::RdmaEvents(rdma_event_channel* channel, int wake_fd)
    : channel_(channel), wake_fd_(wake_fd) {}

RdmaEvents::~RdmaEvents() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  (void)!eventfd_write(wake_fd_, 1);
  thread_.join();
  close(wake_fd_);
  rdma_destroy_event_channel(channel_);
}

absl::Status RdmaEvents::Adopt(RdmaEndpoint* endpoint) {
  rdma_cm_id* id = endpoint->id();
  id->context = &endpoint->state();
  if (rdma_migrate_id(id, channel_) == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("rdma_migrate_id: ", std::strerror(errno)));
}

void RdmaEvents::SeeOff(RdmaLeaver leaver) {
  {
    absl::MutexLock lock(&mu_);
    arrived_.push_back(std::move(leaver));
  }
  (void)!eventfd_write(wake_fd_, 1);
}

void RdmaEvents::Run() {
  pthread_setname_np(pthread_self(), "rdma-events");
  while (true) {
    pollfd fds[2] = {{channel_->fd, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
    (void)poll(fds, 2, leaving_.empty() ? -1 : kLeaverPollMs);
    eventfd_t value;
    (void)!eventfd_read(wake_fd_, &value);
    TakeEvents();
    std::vector<RdmaLeaver> arrived;
    bool stop = false;
    {
      absl::MutexLock lock(&mu_);
      stop = stopping_;
      arrived.swap(arrived_);
    }
    for (RdmaLeaver& leaver : arrived) leaving_.push_back(std::move(leaver));
    EndLeavers(SystemClock()->SinceBoot());
    // Who closes its transport has a moment for the last words of its connections.
    if (stop && leaving_.empty()) return;
  }
}

void RdmaEvents::TakeEvents() {
  rdma_cm_event* event = nullptr;
  while (rdma_get_cm_event(channel_, &event) == 0) {
    // Its id cannot be destroyed before the event has been acknowledged.
    auto* state = static_cast<RdmaIdState*>(event->id->context);
    switch (event->event) {
      case RDMA_CM_EVENT_ESTABLISHED:
      case RDMA_CM_EVENT_TIMEWAIT_EXIT:
      case RDMA_CM_EVENT_ADDR_CHANGE:
        break;
      case RDMA_CM_EVENT_DEVICE_REMOVAL:
        state->device->MarkDead();
        state->OnDisconnected();
        break;
      default:
        state->OnDisconnected();
    }
    (void)rdma_ack_cm_event(event);
  }
}

void RdmaEvents::EndLeavers(absl::Duration now) {
  const size_t excess = leaving_.size() > kMostLeavers ? leaving_.size() - kMostLeavers : 0;
  size_t at = 0;
  leaving_.erase(std::remove_if(leaving_.begin(), leaving_.end(),
                                [&](RdmaLeaver& leaver) {
                                  return at++ < excess || now >= leaver.deadline || Done(leaver);
                                }),
                 leaving_.end());
}

}  // namespace penstock::net

#include "client/event_stream.h"

#include <pthread.h>

#include "client/wait.h"
#include "common/status.h"

namespace penstock::client {
namespace {

constexpr absl::Duration kPollWait = absl::Seconds(10);
constexpr absl::Duration kCallTimeout = absl::Seconds(3);
constexpr absl::Duration kFirstPause = absl::Milliseconds(20);
constexpr absl::Duration kLongestPause = absl::Milliseconds(500);

}  // namespace

EventStream::EventStream(MetaTransport* polls, MetaTransport* acks, Session* session,
                         Handler handler)
    : polls_(polls), acks_(acks), session_(session), handler_(std::move(handler)) {}

void EventStream::Start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "events");
    Run();
  });
}

void EventStream::Stop() {
  stop_.Fire();
  if (thread_.joinable()) thread_.join();
}

void EventStream::Run() {
  const OpContext op{.credentials = {}, .thread = 0, .interrupt = &stop_};
  Backoff backoff(kFirstPause, kLongestPause);
  while (!stop_.fired()) {
    if (PollOnce().ok()) {
      backoff = Backoff(kFirstPause, kLongestPause);
    } else if (!SleepFor(backoff.Next(), op).ok()) {
      return;
    }
  }
}

absl::Status EventStream::PollOnce() {
  const SessionId session = session_->id();
  if (session != polled_) {
    polled_ = session;
    received_ = 0;
    done_.clear();
  }
  wire::SessionEventsRequest request;
  request.set_session_id(session.value());
  request.set_received(received_);
  request.set_wait_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(kPollWait)));
  for (const wire::EventAck& ack : done_) *request.add_acks() = ack;
  wire::SessionEventsResponse response;
  RETURN_IF_ERROR(polls_->Call(wire::METHOD_SESSION_EVENTS, request, &response,
                               {.timeout = kPollWait + kCallTimeout, .interrupt = &stop_}));
  done_.clear();
  for (const wire::SessionEvent& event : response.events()) {
    if (event.number() <= received_) continue;
    received_ = event.number();
    wire::EventAck ack;
    ack.set_number(event.number());
    if (handler_(session, event, &ack) == Handled::kDone) done_.push_back(std::move(ack));
  }
  return absl::OkStatus();
}

absl::Status EventStream::SendAck(SessionId session, const wire::EventAck& ack) {
  wire::SessionEventsRequest request;
  request.set_session_id(session.value());
  *request.add_acks() = ack;
  wire::SessionEventsResponse response;
  return acks_->Call(wire::METHOD_SESSION_EVENTS, request, &response,
                     {.timeout = kCallTimeout, .interrupt = &stop_});
}

void EventStream::Acknowledge(SessionId session, const wire::EventAck& ack) {
  const OpContext op{.credentials = {}, .thread = 0, .interrupt = &stop_};
  Backoff backoff(kFirstPause, kLongestPause);
  while (session_->id() == session && !SendAck(session, ack).ok()) {
    if (!SleepFor(backoff.Next(), op).ok()) return;
  }
}

}  // namespace penstock::client

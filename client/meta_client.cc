#include "client/meta_client.h"

#include <absl/time/clock.h>

#include <algorithm>
#include <cerrno>

#include "client/wait.h"
#include "common/status.h"

namespace penstock::client {
namespace {

bool MayTryAgain(const absl::Status& status) {
  // The condition of a publish does not hold: it must be made anew from a fresh record.
  const Reason reason = ReasonOf(status);
  if (reason == Reason::kInlineDropped || reason == Reason::kContentChanged) return false;
  if (reason == Reason::kFileShared) return false;  // the caller takes its turn first
  return IsRetryable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

MetaClient::MetaClient(MetaTransport* transport, Session* session, MetaClientOptions options)
    : transport_(transport),
      session_(session),
      options_(std::move(options)),
      slots_(options_.slots) {}

absl::Status MetaClient::Send(Kind kind, google::protobuf::Message* request,
                              wire::MetaContext* context, google::protobuf::Message* response,
                              const OpContext& op) {
  *context->mutable_credentials() = op.credentials;
  if (kind.mutation) return SendMutation(kind, request, context, response, op);
  return Repeat(kind, *request, context, response, op);
}

absl::Status MetaClient::SendMutation(Kind kind, google::protobuf::Message* request,
                                      wire::MetaContext* context,
                                      google::protobuf::Message* response, const OpContext& op) {
  ASSIGN_OR_RETURN(
      const MutationSlots::Turn turn,
      slots_.Take({kind.method, session_->id(), std::min(options_.io_timeout, op.timeout)}, op));
  context->set_slot(turn.slot);
  context->set_sequence(turn.sequence);
  context->set_session_id(turn.sent_before.value());
  const bool again = turn.sent_before.valid();
  absl::Status status = Repeat(kind, *request, context, response, op, again);
  if (again && options_.on_old_answer) options_.on_old_answer();
  slots_.Done(turn, op);
  return status;
}

absl::Status MetaClient::Repeat(Kind kind, const google::protobuf::Message& request,
                                wire::MetaContext* context, google::protobuf::Message* response,
                                const OpContext& op, bool may_have_happened) {
  context->set_client(options_.client);
  const absl::Duration patience = std::min(options_.io_timeout, op.timeout);
  const absl::Time deadline = absl::Now() + patience;
  Backoff backoff(absl::Milliseconds(10), absl::Milliseconds(500));
  for (int attempt = 0;; ++attempt) {
    const SessionId session = session_->id();
    if (op.session.valid() && op.session != session) {
      return WithReason(PosixError(EIO, "the session was lost"), Reason::kSessionUnknown);
    }
    if (context->session_id() != session.value()) {
      if (may_have_happened && kind.mutation) {
        return PosixError(EIO, "the session ended before the operation was answered");
      }
      context->set_session_id(session.value());
    }
    // The first try of a mutation is waited for, so that a signal rarely leaves its outcome open.
    const bool interruptible = !kind.mutation || attempt > 0;
    calls_[static_cast<size_t>(kind.method)].fetch_add(1, std::memory_order_relaxed);
    absl::Status status =
        transport_->Call(kind.method, request, response,
                         {.timeout = std::min(options_.try_timeout, deadline - absl::Now()),
                          .interrupt = interruptible ? op.interrupt : nullptr});
    if (status.ok()) return status;
    if (SessionEnded(status)) {
      // First, also when the call ends here: what the caller reads next must not be what this
      // session had cached.
      RETURN_IF_ERROR(session_->Renew(session, op));
      if (may_have_happened && kind.mutation) {
        return PosixError(EIO, "the session ended before the operation was answered");
      }
    } else if (!MayTryAgain(status)) {
      return status;
    } else if (!absl::IsAborted(status)) {
      may_have_happened = true;  // ABORTED was answered: it did not happen
    }
    const absl::Duration pause = backoff.Next();
    if (absl::Now() + pause >= deadline) {
      return PosixError(EIO, absl::StrCat("metaserver did not answer in ",
                                          absl::FormatDuration(patience), ": ", status.message()));
    }
    if (!SessionEnded(status)) RETURN_IF_ERROR(SleepFor(pause, op));
    response->Clear();
  }
}

}  // namespace penstock::client

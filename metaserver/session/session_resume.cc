// The part of SessionTable that lets a session outlive its client.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/status.h"
#include "metaserver/session/session_table.h"

namespace penstock::metaserver {

absl::Status SessionTable::NoteClient(SessionId id, uint64_t client) {
  absl::MutexLock lock(&mu_);
  ASSIGN_OR_RETURN(Session* const session, FindLive(id));
  return session->client.Note(client);
}

absl::Status SessionTable::Check(const wire::MetaContext& context) const {
  absl::MutexLock lock(&mu_);
  ASSIGN_OR_RETURN(const Session* const session, FindLive(SessionId(context.session_id())));
  return session->client.Check(context.client());
}

absl::Status SessionTable::Resume(const wire::ResumeSessionRequest& request,
                                  wire::ResumeSessionResponse& response) {
  const SessionId id(request.session_id());
  if (request.client() == 0) return absl::InvalidArgumentError("resume: the client has no number");
  RETURN_IF_ERROR(NoteClient(id, request.client()));
  AwaitApplied(id, request.client());
  SPDLOG_INFO("session goes on with another client session={} client={}", id.value(),
              request.client());
  return hooks_.resumed ? hooks_.resumed(request, response) : absl::OkStatus();
}

// No more of them begin: BeginApply() refuses them.
void SessionTable::AwaitApplied(SessionId id, uint64_t before_client) {
  absl::MutexLock lock(&mu_);
  auto applied = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const Session* const session = Find(id);
    return session == nullptr ||
           std::none_of(session->slots.begin(), session->slots.end(), [&](const Slot& slot) {
             return slot.applying != 0 && slot.applying < before_client;
           });
  };
  mu_.Await(absl::Condition(&applied));
}

}  // namespace penstock::metaserver

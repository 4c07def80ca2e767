// A session whose client died goes on with another client.
#include <cerrno>

#include "common/status.h"
#include "metaserver/namespace.h"
#include "metaserver/store/keys.h"
#include "metaserver/store/record_codec.h"

namespace penstock::metaserver {

// First nothing of the earlier clients is let in any more, so that what is ended after that stays
// ended, and what is listed is all that they leave.
absl::Status Namespace::ResumeSession(const wire::ResumeSessionRequest& request,
                                      wire::ResumeSessionResponse& response) {
  const SessionId session(request.session_id());
  RETURN_IF_ERROR(sessions_->Resume(request, response));
  shared_writes_.EndEarlier({session, request.client()});
  ASSIGN_OR_RETURN(const std::vector<InodeNumber> truncating, TruncationsOf(session));
  for (InodeNumber ino : truncating) response.add_truncating(ino.value());
  return absl::OkStatus();
}

// Their records are in one short list: a truncation is in it from its size until its chunks are
// cut.
absl::StatusOr<std::vector<InodeNumber>> Namespace::TruncationsOf(SessionId session) {
  ASSIGN_OR_RETURN(const auto records,
                   store_->Scan(Family::kOrphan, std::string_view(&kTruncateList, 1)));
  std::vector<InodeNumber> found;
  RETURN_IF_ERROR(ReadUnchecked({}, [&](const ReadView& view) -> absl::Status {
    for (const auto& [key, value] : records) {
      if (key.size() != 9) return absl::DataLossError("damaged truncation key");
      auto inode = view.GetInode(InodeNumber(ReadBig64(std::string_view(key).substr(1))));
      if (ErrnoOf(inode.status()) == ESTALE) continue;  // reclaimed meanwhile
      RETURN_IF_ERROR(inode.status());
      if (inode->truncate.id != 0 && inode->truncate.session == session)
        found.push_back(inode->ino);
    }
    return absl::OkStatus();
  }));
  return found;
}

}  // namespace penstock::metaserver

#include "metaserver/lease/contested_directories.h"

namespace penstock::metaserver {

bool ContestedDirectories::NoteChange(InodeNumber directory, SessionId session,
                                      absl::Duration now) {
  if (window_ <= absl::ZeroDuration()) return false;
  auto it = directories_.find(directory.value());
  if (it == directories_.end()) {
    MakeRoom(now);
    directories_[directory.value()] = {session.value(), now, -absl::InfiniteDuration()};
    return false;
  }
  Directory& known = it->second;
  if (known.session != session.value() && now - known.changed < window_) {
    known.contested_until = now + window_;
  }
  known.session = session.value();
  known.changed = now;
  return now < known.contested_until;
}

bool ContestedDirectories::IsContested(InodeNumber directory, absl::Duration now) const {
  if (window_ <= absl::ZeroDuration()) return false;
  const auto it = directories_.find(directory.value());
  return it != directories_.end() && now < it->second.contested_until;
}

void ContestedDirectories::MakeRoom(absl::Duration now) {
  if (directories_.size() < kMost) return;
  absl::erase_if(directories_, [&](const auto& each) {
    return now - each.second.changed >= window_ && now >= each.second.contested_until;
  });
  if (directories_.size() >= kMost) directories_.clear();
}

}  // namespace penstock::metaserver

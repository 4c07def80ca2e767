// Which members of a chunk's group are asked, and in what order.
#include <absl/time/clock.h>

#include <algorithm>

#include "client/chunk_client.h"

namespace penstock::client {

std::vector<ChunkClient::Member> ChunkClient::InSyncMembers(const ClusterMap& map,
                                                            uint32_t storage_class,
                                                            uint32_t position) const {
  std::vector<Member> members;
  const Group* group = map.GroupOf(storage_class, position);
  if (group == nullptr) return members;
  for (const GroupMember& member : group->members) {
    if (member.state != wire::MEMBER_IN_SYNC) continue;
    const wire::MapTarget* target = map.FindTarget(member.target);
    if (target == nullptr) continue;
    members.push_back({member.target, ServerId(target->server_id()), group->epoch});
  }
  return members;
}

std::vector<ChunkClient::Member> ChunkClient::ReadOrder(const ClusterMap& map,
                                                        uint32_t storage_class,
                                                        const ChunkKey& key) const {
  std::vector<Member> members = InSyncMembers(map, storage_class, key.position);
  if (members.size() < 2) return members;
  // A chunk is always read from the same copy while all is well: each is in one page cache only.
  const uint64_t spread = (key.content.value() + key.index) * 0x9E3779B97F4A7C15u;
  std::rotate(members.begin(), members.begin() + (spread >> 32) % members.size(), members.end());
  auto well = [&](const Member& member) {
    const wire::MapTarget* target = map.FindTarget(member.target);
    const wire::MapServer* server = map.FindServer(member.server);
    return target->state() == wire::TARGET_ONLINE && server != nullptr &&
           server->state() == wire::SERVER_ONLINE && !Suspected(member.server) &&
           !pace_.Limps(member.server, absl::Now());
  };
  std::stable_partition(members.begin(), members.end(), well);
  return members;
}

void ChunkClient::Suspect(ServerId server) {
  absl::MutexLock lock(&mu_);
  suspects_[server] = absl::Now() + options_.suspect_for;
}

bool ChunkClient::Suspected(ServerId server) const {
  absl::MutexLock lock(&mu_);
  auto it = suspects_.find(server);
  return it != suspects_.end() && absl::Now() < it->second;
}

void ChunkClient::NoteFailure(ServerId server, const absl::Status& status) {
  if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) Suspect(server);
}

}  // namespace penstock::client

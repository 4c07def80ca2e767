#include "cli/fsck/chunk_asker.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <optional>

#include "common/status.h"
#include "proto/chunk.pb.h"

namespace penstock::cli {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(30);
constexpr int kTries = 5;
constexpr absl::Duration kPause = absl::Seconds(1);

ChunkVersion FromWire(const wire::ChunkVersion& version) {
  return {version.epoch(), version.sequence()};
}
ChunkKey FromWire(const wire::ChunkKey& key) {
  return {key.position(), ContentId(key.content_id()), key.index()};
}
void ToWire(const ChunkKey& key, wire::ChunkKey* to) {
  to->set_content_id(key.content.value());
  to->set_index(key.index);
  to->set_position(key.position);
}

bool MayHelp(const absl::Status& status) {
  return IsRetryable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsFailedPrecondition(status);
}

}  // namespace

// One member's list, a page at a time.
class ChunkAsker::MemberList {
 public:
  MemberList(const Member& member, GroupId group) : member_(member) {
    request_.set_storage_class(group.storage_class);
    request_.set_group(group.number);
    request_.set_epoch(member.epoch);
    request_.set_target_id(member.target.value());
  }
  // nullptr: at its end.
  absl::StatusOr<const wire::ListedChunk*> Head() {
    while (at_ == page_.chunks_size()) {
      if (begun_ && !page_.more()) return nullptr;
      begun_ = true;
      page_.Clear();
      at_ = 0;
      RETURN_IF_ERROR(
          member_.client->Call(wire::METHOD_LIST_CHUNKS, request_, &page_, {.timeout = kTimeout}));
      if (page_.chunks_size() == 0) continue;
      *request_.mutable_after() = page_.chunks(page_.chunks_size() - 1).key();
    }
    return &page_.chunks(at_);
  }
  void Step() { ++at_; }
  TargetId target() const { return member_.target; }

 private:
  const Member member_;
  wire::ListChunksRequest request_;
  wire::ListChunksResponse page_;
  int at_ = 0;
  bool begun_ = false;
};

ChunkAsker::ChunkAsker(FetchMap fetch_map, net::ClusterKey key)
    : fetch_map_(std::move(fetch_map)), key_(std::move(key)) {}

absl::Status ChunkAsker::RefreshMap() {
  ASSIGN_OR_RETURN(const wire::ClusterMap map, fetch_map_());
  auto next = std::make_shared<ClusterMap>();
  RETURN_IF_ERROR(next->Apply(map));
  map_ = std::move(next);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ChunkAsker::Member>> ChunkAsker::InSync(const Group& group) {
  std::vector<Member> members;
  for (const GroupMember& member : group.members) {
    if (member.state != wire::MEMBER_IN_SYNC) continue;
    const wire::MapServer* server = map_->ServerOf(member.target);
    if (server == nullptr || server->addresses_size() == 0) {
      return absl::UnavailableError(
          absl::StrCat("the server of target ", member.target.value(), " is not known"));
    }
    auto& client = clients_[ServerId(server->server_id())];
    std::vector<wire::Address> addresses(server->addresses().begin(), server->addresses().end());
    if (client == nullptr) {
      net::RpcClientOptions options;
      options.credentials = {key_, map_->cluster_id()};
      options.role = wire::ROLE_ADMIN;
      client = std::make_unique<net::RpcClient>(&transport_, addresses, options);
    } else {
      client->SetAddresses(addresses);
    }
    members.push_back({member.target, group.epoch, client.get()});
  }
  if (members.empty()) return absl::UnavailableError("no copy of the group is in sync");
  return members;
}

absl::Status ChunkAsker::ScanOnce(
    const Group& group,
    absl::FunctionRef<absl::Status(const ChunkKey&, const std::vector<CopySeen>&)> visit) {
  ASSIGN_OR_RETURN(const std::vector<Member> members, InSync(group));
  std::vector<MemberList> lists;
  for (const Member& member : members) lists.emplace_back(member, group.id);
  while (true) {
    std::optional<ChunkKey> least;
    std::vector<const wire::ListedChunk*> heads;
    for (MemberList& list : lists) {
      ASSIGN_OR_RETURN(const wire::ListedChunk* head, list.Head());
      heads.push_back(head);
      if (head == nullptr) continue;
      const ChunkKey key = FromWire(head->key());
      if (!least || InListOrder(key, *least)) least = key;
    }
    if (!least) return absl::OkStatus();
    std::vector<CopySeen> copies;
    for (size_t i = 0; i < lists.size(); ++i) {
      CopySeen& copy = copies.emplace_back();
      copy.target = lists[i].target();
      if (heads[i] == nullptr || FromWire(heads[i]->key()) != *least) continue;
      copy.version = FromWire(heads[i]->version());
      copy.exists = copy.version.valid();
      copy.pending = heads[i]->has_pending();
      copy.quarantined = heads[i]->quarantined();
      copy.length = heads[i]->logical_length();
      lists[i].Step();
    }
    RETURN_IF_ERROR(visit(*least, copies));
  }
}

absl::Status ChunkAsker::Scan(
    GroupId id,
    absl::FunctionRef<absl::Status(const ChunkKey&, const std::vector<CopySeen>&)> visit) {
  absl::Status last = absl::UnavailableError("the group is not formed");
  for (int i = 0; i < kTries; ++i) {
    if (i > 0) {
      absl::SleepFor(kPause);
      RETURN_IF_ERROR(RefreshMap());
    }
    const Group* group = map_->FindGroup(id);
    if (group == nullptr) continue;
    const Group copy = *group;  // a refresh replaces the map
    last = ScanOnce(copy, visit);
    if (last.ok() || !MayHelp(last)) break;
  }
  return last;
}

absl::StatusOr<std::vector<CopySeen>> ChunkAsker::AskOnce(const Group& group, const ChunkKey& key) {
  ASSIGN_OR_RETURN(const std::vector<Member> members, InSync(group));
  std::vector<CopySeen> copies;
  for (const Member& member : members) {
    wire::StatChunksRequest request;
    wire::ChunkRead* chunk = request.add_chunks();
    ToWire(key, chunk->mutable_key());
    chunk->set_storage_class(group.id.storage_class);
    chunk->set_epoch(member.epoch);
    chunk->set_target_id(member.target.value());
    wire::StatChunksResponse response;
    RETURN_IF_ERROR(
        member.client->Call(wire::METHOD_STAT_CHUNKS, request, &response, {.timeout = kTimeout}));
    if (response.results_size() != 1) return absl::DataLossError("a server answered too little");
    const wire::ChunkResult& result = response.results(0);
    CopySeen& copy = copies.emplace_back();
    copy.target = member.target;
    copy.quarantined = result.quarantined();
    copy.version = FromWire(result.version());
    copy.exists = copy.version.valid() && !result.absent();
    copy.pending = FromWire(result.pending()).valid();
    copy.length = result.logical_length();
    if (result.code() != 0 && !result.quarantined()) {
      return absl::Status(static_cast<absl::StatusCode>(result.code()), result.message());
    }
  }
  return copies;
}

absl::StatusOr<std::vector<CopySeen>> ChunkAsker::Ask(uint32_t storage_class, const ChunkKey& key) {
  absl::Status last = absl::UnavailableError("the group is not formed");
  for (int i = 0; i < kTries; ++i) {
    if (i > 0) {
      absl::SleepFor(kPause);
      RETURN_IF_ERROR(RefreshMap());
    }
    const Group* group = map_->GroupOf(storage_class, key.position);
    if (group == nullptr) continue;
    const Group copy = *group;
    auto copies = AskOnce(copy, key);
    if (copies.ok()) return copies;
    last = copies.status();
    if (!MayHelp(last)) break;
  }
  return last;
}

}  // namespace penstock::cli

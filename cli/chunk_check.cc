#include "cli/chunk_check.h"

#include <absl/algorithm/container.h>
#include <absl/strings/str_cat.h>

#include <map>

#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr size_t kChunksAtOnce = 16;  // in one request: 64 MiB are read for it
constexpr absl::Duration kTimeout = absl::Seconds(30);

ChunkVersion FromWire(const wire::ChunkVersion& version) {
  return {version.epoch(), version.sequence()};
}

}  // namespace

const char* CopyStateName(CopyState state) {
  switch (state) {
    case CopyState::kHolds:
      return "holds";
    case CopyState::kAbsent:
      return "absent";
    case CopyState::kUnreachable:
      return "unreachable";
    case CopyState::kDamaged:
      return "damaged";
    case CopyState::kDiffers:
      return "differs";
    case CopyState::kWriting:
      return "being_written";
  }
  return "unknown";
}

bool CheckedChunk::hole() const {
  return !copies.empty() &&
         absl::c_all_of(copies, [](const Copy& copy) { return copy.state == CopyState::kAbsent; });
}

bool CheckedChunk::holds() const {
  if (copies.empty()) return false;
  return hole() || absl::c_all_of(copies, [](const Copy& copy) {
           return copy.state == CopyState::kHolds || copy.state == CopyState::kWriting;
         });
}

void CompareCopies(std::vector<Copy>& copies, const std::vector<bool>& pending) {
  auto answered = [](const Copy& c) {
    return c.state == CopyState::kHolds || c.state == CopyState::kAbsent;
  };
  const Copy* newest = nullptr;
  for (const Copy& copy : copies) {
    if (copy.state != CopyState::kHolds) continue;
    if (newest == nullptr || newest->version < copy.version) newest = &copy;
  }
  if (newest == nullptr) return;  // nobody has it: no difference
  const ChunkVersion version = newest->version;
  const uint32_t length = newest->length_bytes;
  const bool writing = absl::c_linear_search(pending, true);
  for (Copy& copy : copies) {
    if (!answered(copy)) continue;
    const bool same =
        copy.state == CopyState::kHolds && copy.version == version && copy.length_bytes == length;
    if (!same) copy.state = writing ? CopyState::kWriting : CopyState::kDiffers;
  }
}

struct ChunkCheck::Ask {
  CheckedChunk* chunk;
  size_t member;
  std::vector<bool>* pending;
};

ChunkCheck::ChunkCheck(std::shared_ptr<const ClusterMap> map, FileLayout layout,
                       net::PeerCredentials credentials)
    : map_(std::move(map)), layout_(layout), credentials_(std::move(credentials)) {}

absl::StatusOr<CheckedChunk> ChunkCheck::Describe(uint32_t index) const {
  CheckedChunk chunk;
  chunk.key = ChunkKeyOf(layout_, index);
  const Group* group = map_->GroupOf(layout_.storage_class, chunk.key.position);
  if (group == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("the groups of storage class ", layout_.storage_class, " are not formed"));
  }
  chunk.group = group->id.number;
  chunk.epoch = group->epoch;
  for (const GroupMember& member : group->members) {
    Copy copy;
    copy.target = member.target;
    if (const wire::MapTarget* target = map_->FindTarget(member.target)) {
      copy.server = ServerId(target->server_id());
      copy.path = target->path();
    }
    if (const wire::MapServer* server = map_->ServerOf(member.target);
        server != nullptr && server->addresses_size() > 0) {
      copy.server_address =
          absl::StrCat(server->addresses(0).host(), ":", server->addresses(0).port());
    }
    chunk.copies.push_back(std::move(copy));
  }
  return chunk;
}

net::RpcClient& ChunkCheck::ClientOf(ServerId server) {
  std::unique_ptr<net::RpcClient>& client = clients_[server];
  if (client == nullptr) {
    std::vector<wire::Address> addresses;
    if (const wire::MapServer* known = map_->FindServer(server)) {
      addresses.assign(known->addresses().begin(), known->addresses().end());
    }
    net::RpcClientOptions options;
    options.credentials = credentials_;
    options.role = wire::ROLE_ADMIN;
    client = std::make_unique<net::RpcClient>(&transport_, std::move(addresses), options);
  }
  return *client;
}

void ChunkCheck::AskServer(ServerId server, const std::vector<Ask>& asks, bool verify) {
  wire::StatChunksRequest request;
  request.set_verify(verify);
  for (const Ask& ask : asks) {
    wire::ChunkRead* chunk = request.add_chunks();
    chunk->mutable_key()->set_content_id(ask.chunk->key.content.value());
    chunk->mutable_key()->set_index(ask.chunk->key.index);
    chunk->mutable_key()->set_position(ask.chunk->key.position);
    chunk->set_storage_class(layout_.storage_class);
    chunk->set_epoch(ask.chunk->epoch);
    chunk->set_target_id(ask.chunk->copies[ask.member].target.value());
  }
  wire::StatChunksResponse response;
  const absl::Status called =
      ClientOf(server).Call(wire::METHOD_STAT_CHUNKS, request, &response, {.timeout = kTimeout});
  for (size_t i = 0; i < asks.size(); ++i) {
    Copy& copy = asks[i].chunk->copies[asks[i].member];
    if (!called.ok() || i >= static_cast<size_t>(response.results_size())) {
      copy.message =
          called.ok() ? "the server answered too few results" : std::string(called.message());
      continue;
    }
    const wire::ChunkResult& result = response.results(static_cast<int>(i));
    copy.message = result.message();
    copy.version = FromWire(result.version());
    copy.length_bytes = result.logical_length();
    copy.stored_bytes = result.stored_length();
    (*asks[i].pending)[asks[i].member] = FromWire(result.pending()).valid();
    if (result.quarantined() ||
        result.code() == static_cast<uint32_t>(absl::StatusCode::kDataLoss)) {
      copy.state = CopyState::kDamaged;
    } else if (result.absent()) {
      copy.state = CopyState::kAbsent;
    } else if (result.code() != 0) {
      copy.state = CopyState::kUnreachable;
    } else {
      copy.state = !verify || result.verified() ? CopyState::kHolds : CopyState::kDamaged;
    }
  }
}

absl::StatusOr<std::vector<CheckedChunk>> ChunkCheck::Check(uint32_t first, uint32_t count,
                                                            bool verify) {
  std::vector<CheckedChunk> chunks;
  std::vector<std::vector<bool>> pending;
  for (uint32_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(CheckedChunk chunk, Describe(first + i));
    pending.emplace_back(chunk.copies.size(), false);
    chunks.push_back(std::move(chunk));
  }
  std::map<ServerId, std::vector<Ask>> by_server;
  for (size_t i = 0; i < chunks.size(); ++i) {
    for (size_t m = 0; m < chunks[i].copies.size(); ++m) {
      by_server[chunks[i].copies[m].server].push_back({&chunks[i], m, &pending[i]});
    }
  }
  for (const auto& [server, asks] : by_server) {
    for (size_t at = 0; at < asks.size(); at += kChunksAtOnce) {
      const size_t end = std::min(asks.size(), at + kChunksAtOnce);
      AskServer(server,
                {asks.begin() + static_cast<long>(at), asks.begin() + static_cast<long>(end)},
                verify);
    }
  }
  for (size_t i = 0; i < chunks.size(); ++i) CompareCopies(chunks[i].copies, pending[i]);
  return chunks;
}

}  // namespace penstock::cli

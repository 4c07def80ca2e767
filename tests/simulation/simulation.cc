#include "tests/simulation/simulation.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace penstock::simulation {
namespace {

constexpr int64_t kLookMs = 100;
constexpr int64_t kRestWithinMs = 120'000;
constexpr int kQuietLooks = 4;  // in a row: the next heartbeats may bring more to do
constexpr int kLateWrites = 6;

std::vector<FileLayout> ContentsOf(const Shape& shape) {
  std::vector<FileLayout> contents;
  for (int i = 0; i < shape.contents; ++i) {
    contents.push_back({ContentId(static_cast<uint64_t>(7 + i)), static_cast<uint32_t>(31 * i)});
  }
  return contents;
}

std::vector<ChunkKey> KeysOf(const std::vector<FileLayout>& contents, int chunks) {
  std::vector<ChunkKey> keys;
  for (const FileLayout& content : contents) {
    for (int i = 0; i < chunks; ++i) keys.push_back(ChunkKeyOf(content, static_cast<uint32_t>(i)));
  }
  return keys;
}

metaserver::MetaStore* Emptied(metaserver::MetaStore* store) {
  EmptyStore(store);
  return store;
}

}  // namespace

Simulation::Simulation(uint64_t seed, const Shape& shape, metaserver::MetaStore* store)
    : shape_(shape),
      time_(seed),
      network_(&time_),
      checks_(&time_),
      metaserver_(shape_, {&time_, &network_, &checks_, Emptied(store)}),
      contents_(ContentsOf(shape)) {
  const auto find = [this](uint32_t server_id) { return Find(server_id); };
  const std::vector<ChunkKey> keys = KeysOf(contents_, shape_.chunks);
  server_parts_ = {&time_, &network_, &checks_, &metaserver_, find, keys, shape_.faults.full_disk};
  client_parts_ = {&time_, &network_, &checks_, &metaserver_, find, keys};
  for (int i = 1; i <= shape_.servers; ++i) servers_.emplace_back(i, shape_, &server_parts_);
  for (int i = 0; i < shape_.clients; ++i) clients_.emplace_back(shape_, &client_parts_);
  checks_.SetKeys(keys);
  checks_.SetCopies([this](TargetId target) { return CopyOf(target); });
  network_.SetFaults(shape_.faults);
}

SimChunkserver* Simulation::Find(uint32_t server_id) {
  for (SimChunkserver& server : servers_) {
    if (server.server_id() == server_id) return &server;
  }
  return nullptr;
}

Checks::Copy Simulation::CopyOf(TargetId target) {
  for (SimChunkserver& server : servers_) {
    const Checks::Copy copy = server.CopyOf(target);
    if (copy.replica != nullptr) return copy;
  }
  return {};
}

std::string Simulation::Run() {
  metaserver_.Start();
  for (SimChunkserver& server : servers_) server.Start();
  for (SimClient& client : clients_) client.Start();
  time_.At(kLookMs, [this] { MakeTrouble(); });
  while (checks_.failure().empty() && !calm_) time_.Step();
  RunUntilRest(kRestWithinMs);
  if (shape_.machine_lost && checks_.failure().empty()) {
    LoseMachine();
    RunUntilRest(kRestWithinMs);
  }
  if (checks_.failure().empty()) checks_.AtTheEnd();
  CountLeftBehind();
  return checks_.failure();
}

void Simulation::CountLeftBehind() {
  for (SimChunkserver& server : servers_) {
    for (TargetId target : server.targets()) {
      for (const ChunkKey& key : server_parts_.keys) {
        if (server.lost() || !target.valid() || !checks_.IsUnlinked(key.content)) continue;
        left_behind_ += server.CopyOf(target).replica->Get(key).info.exists() ? 1 : 0;
      }
    }
  }
}

// Somebody else has what it had.
void Simulation::LoseMachine() {
  const int64_t last = static_cast<int64_t>(servers_.size()) - 1;
  servers_[static_cast<size_t>(time_.Pick(0, last))].Lose();
  for (SimClient& client : clients_) client.WriteMore(kLateWrites);
}

void Simulation::RunUntilRest(int64_t within_ms) {
  const int64_t until = time_.now_ms() + within_ms;
  int64_t look = time_.now_ms();
  int quiet = 0;
  while (checks_.failure().empty()) {
    time_.Step();
    if (time_.now_ms() < look) continue;
    look = time_.now_ms() + kLookMs;
    UndrainAll();
    const std::string unrest = Unrest();
    quiet = unrest.empty() ? quiet + 1 : 0;
    if (quiet == kQuietLooks) return;
    if (time_.now_ms() > until) checks_.Fail("it never comes to rest: " + unrest);
  }
}

void Simulation::UndrainAll() {
  if (undrained_ || !metaserver_.up()) return;
  undrained_ = true;
  for (SimChunkserver& server : servers_) {
    for (TargetId target : server.targets()) {
      undrained_ &= metaserver_.state().UndrainTarget(target).ok();
    }
  }
  metaserver_.Look();
}

std::string Simulation::Unrest() {
  for (const SimClient& client : clients_) {
    if (!client.done()) return absl::StrCat("session ", client.session().value(), " waits");
  }
  if (const std::string unrest = metaserver_.Unrest(); !unrest.empty()) return unrest;
  for (SimChunkserver& server : servers_) {
    if (const std::string unrest = UnrestOf(server); !unrest.empty()) return unrest;
  }
  return "";
}

// A target has what its groups have, and nothing else.
std::string Simulation::UnrestOf(SimChunkserver& server) {
  if (!server.lost() && !server.up()) return "a server is down";
  for (TargetId target : server.targets()) {
    for (const ChunkKey& key : server_parts_.keys) {
      const std::vector<GroupMember>& members = checks_.GroupOf(key)->members;
      const bool member = std::any_of(members.begin(), members.end(),
                                      [&](const GroupMember& m) { return m.target == target; });
      if (server.lost()) {
        if (member) return absl::StrCat("lost target ", target.value(), " is a member");
        continue;
      }
      const chunkserver::ChunkInfo& info = server.CopyOf(target).replica->Get(key).info;
      const bool dead = checks_.IsUnlinked(key.content);
      const std::string name =
          absl::StrCat("target ", target.value(), " chunk ", key.content.value(), "/", key.index);
      if (info.pending && !dead) return absl::StrCat(name, " stays pending");
      if (info.exists() && !dead && !member) return absl::StrCat(name, " is another's");
    }
  }
  return "";
}

}  // namespace penstock::simulation

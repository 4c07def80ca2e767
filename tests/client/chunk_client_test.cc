// ChunkClient against scripted members: where it reads, what it believes, what it repeats.
#include "client/chunk_client.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <map>

#include "common/checksum.h"
#include "common/status.h"

namespace penstock::client {
namespace {

struct FakeMember {
  std::map<uint32_t, std::string> chunks;  // by index
  std::map<uint32_t, ChunkVersion> versions;
  absl::Status down;        // of every call
  absl::Status read_error;  // of each read
  bool wrong_checksum = false;
  bool silent = false;  // takes requests and does not answer
  int reads = 0, writes = 0;
  std::vector<std::pair<uint32_t, uint64_t>> stamps;
};

void SetError(const absl::Status& status, wire::ChunkResult* result) {
  result->set_code(static_cast<uint32_t>(status.code()));
  result->set_reason(static_cast<uint32_t>(ReasonOf(status)));
  result->set_err(static_cast<uint32_t>(AttachedErrno(status)));
  result->set_message(std::string(status.message()));
}

class FakeServers : public ChunkServers {
 public:
  class Answer : public Reply {
   public:
    absl::Status Finish(google::protobuf::Message* response, absl::Span<const iovec> into,
                        size_t* received) override {
      if (silent >= 0) return absl::DeadlineExceededError("silent");
      if (!status.ok()) return status;
      response->CopyFrom(*message);
      if (received != nullptr) *received = payload.size();
      if (!payload.empty()) memcpy(into[0].iov_base, payload.data(), payload.size());
      return absl::OkStatus();
    }
    ~Answer() override {
      if (silent >= 0) close(silent);
    }
    int fd() const override { return silent; }
    int silent = -1;
    absl::Status status;
    std::unique_ptr<google::protobuf::Message> message;
    std::string payload;
  };

  absl::StatusOr<std::unique_ptr<Reply>> Start(ServerId server, wire::Method method,
                                               const google::protobuf::Message& request,
                                               const net::CallOptions&,
                                               absl::Span<const iovec> payload,
                                               absl::Span<const iovec>) override {
    FakeMember& m = members[server.value()];
    if (!m.down.ok()) return m.down;
    auto answer = std::make_unique<Answer>();
    if (m.silent) answer->silent = eventfd(0, EFD_CLOEXEC);
    if (method == wire::METHOD_READ_CHUNKS) {
      const auto& read = static_cast<const wire::ReadChunksRequest&>(request).reads(0);
      auto response = std::make_unique<wire::ReadChunksResponse>();
      wire::ChunkResult* result = response->add_results();
      ++m.reads;
      if (!m.read_error.ok()) {
        SetError(m.read_error, result);
      } else {
        Describe(m, read.key().index(), result);
        if (!result->absent()) {
          const std::string& bytes = m.chunks[read.key().index()];
          if (read.offset() < bytes.size()) {
            answer->payload = bytes.substr(read.offset(), read.length());
          }
          result->set_length(static_cast<uint32_t>(answer->payload.size()));
          result->set_crc32c(Crc32c(answer->payload) + (m.wrong_checksum ? 1 : 0));
        }
      }
      answer->message = std::move(response);
    } else if (method == wire::METHOD_STAT_CHUNKS) {
      auto response = std::make_unique<wire::StatChunksResponse>();
      for (const auto& chunk : static_cast<const wire::StatChunksRequest&>(request).chunks()) {
        Describe(m, chunk.key().index(), response->add_results());
      }
      answer->message = std::move(response);
    } else if (method == wire::METHOD_WRITE_CHUNKS) {
      auto response = std::make_unique<wire::WriteChunksResponse>();
      for (const auto& write : static_cast<const wire::WriteChunksRequest&>(request).writes()) {
        ++m.writes;
        m.stamps.emplace_back(write.channel(), write.channel_sequence());
        wire::ChunkResult* result = response->add_results();
        if (!write_script.empty()) {
          SetError(write_script.front(), result);
          write_script.erase(write_script.begin());
          continue;
        }
        if (!payload.empty()) {
          m.chunks[write.key().index()] =
              std::string(static_cast<const char*>(payload[0].iov_base), payload[0].iov_len);
        }
        result->mutable_version()->set_epoch(1);
        result->mutable_version()->set_sequence(9);
      }
      answer->message = std::move(response);
    } else {
      auto response = std::make_unique<wire::SyncChunksResponse>();
      for (int i = 0; i < static_cast<const wire::SyncChunksRequest&>(request).syncs_size(); ++i) {
        wire::ChunkResult* result = response->add_results();
        if (!sync_error.ok()) SetError(sync_error, result);
        ++syncs;
      }
      answer->message = std::move(response);
    }
    return answer;
  }

  std::map<uint32_t, FakeMember> members;  // by server
  std::vector<absl::Status> write_script;
  absl::Status sync_error;
  int syncs = 0;

 private:
  static void Describe(FakeMember& m, uint32_t index, wire::ChunkResult* result) {
    auto it = m.chunks.find(index);
    result->set_absent(it == m.chunks.end());
    if (it == m.chunks.end()) return;
    result->set_logical_length(static_cast<uint32_t>(it->second.size()));
    const ChunkVersion version =
        m.versions.contains(index) ? m.versions[index] : ChunkVersion{1, 1};
    result->mutable_version()->set_epoch(version.epoch);
    result->mutable_version()->set_sequence(version.sequence);
  }
};

// Servers 1 (head) and 2 (tail) hold every group.
struct Fixture {
  Fixture() {
    wire::ClusterMap map;
    map.set_version(1);
    map.set_cluster_id("c");
    for (uint32_t id : {1, 2}) {
      wire::MapServer* server = map.add_servers();
      server->set_server_id(id);
      server->set_state(wire::SERVER_ONLINE);
      wire::MapTarget* target = map.add_targets();
      target->set_target_id(10 + id);
      target->set_server_id(id);
      target->set_state(wire::TARGET_ONLINE);
    }
    wire::MapStorageClass* c = map.add_classes();
    c->set_storage_class(1);
    c->set_replication(2);
    c->set_group_count(4);
    for (uint32_t g = 0; g < 4; ++g) {
      wire::MapGroup* group = map.add_groups();
      group->set_storage_class(1);
      group->set_number(g);
      group->set_epoch(1);
      for (uint32_t id : {11, 12}) {
        wire::MapMember* member = group->add_members();
        member->set_target_id(id);
        member->set_state(wire::MEMBER_IN_SYNC);
      }
    }
    REQUIRE(maps.Apply(map).ok());
  }
  void Store(uint32_t index, const std::string& bytes) {
    for (uint32_t id : {1, 2}) servers.members[id].chunks[index] = bytes;
  }
  absl::StatusOr<std::string> Read(uint64_t offset, size_t n) {
    std::string into(n, '?');
    auto outcome = client.Read(layout, offset, absl::MakeSpan(into), OpContext{});
    if (!outcome.ok()) return outcome.status();
    holes = outcome->holes;
    return into;
  }
  FileLayout layout{ContentId(99), 7, 12, 1};  // 4 KiB chunks
  MapHolder maps;
  FakeServers servers;
  ChunkClient client{
      &maps, &servers, {.io_timeout = absl::Milliseconds(500), .suspect_for = absl::Seconds(1)}};
  bool holes = false;
};

TEST_CASE("a read over several chunks fills one buffer", "[client][chunk_client]") {
  Fixture f;
  for (uint32_t i = 0; i < 4; ++i) f.Store(i, std::string(4096, static_cast<char>('a' + i)));
  auto got = f.Read(4095, 4098);
  REQUIRE(got.ok());
  REQUIRE(*got == "a" + std::string(4096, 'b') + "c");
  REQUIRE_FALSE(f.holes);
}

TEST_CASE("a read that takes long is asked of the other copy as well", "[client][chunk_client]") {
  Fixture f;
  for (uint32_t i = 0; i < 64; ++i) f.Store(i, std::string(4096, 'x'));
  f.servers.members[1].silent = true;
  int by_first = 0;
  for (uint32_t i = 0; i < 64; ++i) {
    const int before = f.servers.members[1].reads;
    auto got = f.Read(i * 4096, 4096);
    REQUIRE(got.ok());
    REQUIRE(*got == std::string(4096, 'x'));
    by_first += f.servers.members[1].reads - before;
  }
  // It limps from the fifth on, and is asked last.
  REQUIRE(by_first == 5);
  REQUIRE(f.client.pace().Limps(ServerId(1), absl::Now()));
  REQUIRE(f.client.pace().counters().won == 5);
  SECTION("a pending version there leaves the first one's answer") {
    f.servers.members[2].read_error =
        WithReason(absl::UnavailableError("pending"), Reason::kPendingVersion);
    REQUIRE_FALSE(f.Read(0, 4096).ok());
  }
}

TEST_CASE("a dead member's chunks are read from the other copy", "[client][chunk_client]") {
  Fixture f;
  for (uint32_t i = 0; i < 8; ++i) f.Store(i, std::string(4096, 'x'));
  f.servers.members[1].down = absl::UnavailableError("dead");
  REQUIRE(f.Read(0, 8 * 4096).ok());
}

TEST_CASE("wrong bytes are read again from the other copy", "[client][chunk_client]") {
  Fixture f;
  for (uint32_t i = 0; i < 8; ++i) f.Store(i, std::string(4096, 'x'));
  f.servers.members[2].wrong_checksum = true;
  auto got = f.Read(0, 8 * 4096);
  REQUIRE(got.ok());
  REQUIRE(*got == std::string(8 * 4096, 'x'));
  f.servers.members[1].wrong_checksum = true;
  REQUIRE(ErrnoOf(f.Read(0, 10).status()) == EIO);
}

TEST_CASE("a pending version sends the read to the tail", "[client][chunk_client]") {
  Fixture f;
  for (uint32_t i = 0; i < 8; ++i) f.Store(i, std::string(4096, 'x'));
  f.servers.members[1].read_error =
      WithReason(absl::AbortedError("pending"), Reason::kPendingVersion);
  REQUIRE(f.Read(0, 8 * 4096).ok());
}

TEST_CASE("zeros are given only when every copy that can be reached lacks the bytes",
          "[client][chunk_client]") {
  Fixture f;
  auto absent = f.Read(0, 10);
  REQUIRE(absent.ok());
  REQUIRE(*absent == std::string(10, '\0'));
  REQUIRE(f.holes);
  f.Store(0, "abc");
  REQUIRE(*f.Read(0, 5) == std::string("abc\0\0", 5));
  f.servers.members[1].chunks.erase(0);
  f.servers.members[2].chunks[0] = std::string(3, 'z');
  auto disagree = f.Read(0, 10);
  REQUIRE(ErrnoOf(disagree.status()) == EIO);
  f.servers.members[2].down = absl::UnavailableError("dead");
  REQUIRE(*f.Read(0, 3) == std::string(3, '\0'));  // all that can be reached agree
}

TEST_CASE("copies of different versions are not believed to be short", "[client][chunk_client]") {
  Fixture f;
  f.Store(0, "abc");
  f.servers.members[1].versions[0] = {1, 2};
  REQUIRE(ErrnoOf(f.Read(0, 5).status()) == EIO);
}

TEST_CASE("a write is repeated with the same stamp", "[client][chunk_client]") {
  Fixture f;
  f.servers.write_script = {absl::UnavailableError("no"), absl::AbortedError("again"),
                            absl::DeadlineExceededError("late")};
  auto version = f.client.Write(f.layout, {0, 0, "data", {SessionId(5), 3, 8}}, OpContext{});
  REQUIRE(version.ok());
  REQUIRE(version->version.sequence == 9);
  const FakeMember& head = f.servers.members[1];
  REQUIRE(head.writes == 4);
  REQUIRE(f.servers.members[2].writes == 0);
  for (const auto& stamp : head.stamps) REQUIRE(stamp == std::pair<uint32_t, uint64_t>(3, 8));
}

TEST_CASE("a full disk is not tried again", "[client][chunk_client]") {
  Fixture f;
  f.servers.write_script = {PosixError(ENOSPC, "full")};
  auto version = f.client.Write(f.layout, {0, 0, "data", {SessionId(5), 3, 8}}, OpContext{});
  REQUIRE(ErrnoOf(version.status()) == ENOSPC);
  REQUIRE(f.servers.members[1].writes == 1);
}

TEST_CASE("a dead head makes a write wait and then fail with EIO", "[client][chunk_client]") {
  Fixture f;
  f.servers.members[1].down = absl::UnavailableError("dead");
  auto version = f.client.Write(f.layout, {0, 0, "data", {SessionId(5), 3, 8}}, OpContext{});
  REQUIRE(ErrnoOf(version.status()) == EIO);
}

TEST_CASE("an interrupt ends a wait with EINTR", "[client][chunk_client]") {
  Fixture f;
  f.servers.members[1].down = absl::UnavailableError("dead");
  net::Interrupt interrupt;
  interrupt.Fire();
  OpContext op;
  op.interrupt = &interrupt;
  auto version = f.client.Write(f.layout, {0, 0, "data", {SessionId(5), 3, 8}}, op);
  REQUIRE(ErrnoOf(version.status()) == EINTR);
}

TEST_CASE("a sync asks every member and fails where a version is lacking",
          "[client][chunk_client]") {
  Fixture f;
  std::vector<IndexedVersion> versions{{0, {1, 1}}, {1, {1, 1}}};
  REQUIRE(f.client.Sync(f.layout, versions, OpContext{}).ok());
  REQUIRE(f.servers.syncs == 4);
  f.servers.sync_error = WithReason(absl::FailedPreconditionError("less"), Reason::kNotDurable);
  REQUIRE(ErrnoOf(f.client.Sync(f.layout, versions, OpContext{})) == EIO);
}

TEST_CASE("many chunks are cut and looked at in batches", "[client][chunk_client]") {
  Fixture f;
  std::vector<ChunkCut> cuts;
  for (uint32_t i = 0; i < 1300; ++i) cuts.push_back({i, wire::CHANGE_DELETE, 0, 0, {}});
  auto versions = f.client.Change(f.layout, cuts, OpContext{});
  REQUIRE(versions.ok());
  REQUIRE(versions->size() == 1300);
  REQUIRE(f.servers.members[1].writes == 1300);
  f.Store(700, "there");
  auto stored = f.client.Stat(f.layout, 0, 1300, OpContext{});
  REQUIRE(stored.ok());
  REQUIRE((*stored)[700].exists);
  REQUIRE_FALSE((*stored)[699].exists);
}

}  // namespace
}  // namespace penstock::client

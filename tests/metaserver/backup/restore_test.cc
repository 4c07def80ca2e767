#include "metaserver/backup/restore.h"

#include <catch2/catch.hpp>

#include <filesystem>

#include "common/backup_file.h"
#include "common/checksum.h"
#include "metaserver/backup/after_restore.h"
#include "metaserver/cluster/restored_records.h"
#include "metaserver/store/keys.h"
#include "metaserver/store/record_blocks.h"
#include "metaserver/store/record_codec.h"
#include "tests/metaserver/cluster/cluster_fixture.h"
#include "tests/metaserver/namespace_fixture.h"

using namespace penstock;
using namespace penstock::metaserver;
using Catch::Contains;

namespace {

// As Admin.CreateBackup and the command do it.
void WriteBackup(const MetaStore& store, const std::string& path, uint32_t format = kStoreFormat) {
  const StoreSnapshot snapshot(&store);
  auto writer = BackupWriter::Create(path, PosixFileSystem());
  REQUIRE(writer.ok());
  wire::BackupStart start;
  start.set_cluster_id("cluster-1");
  start.set_log_index(*snapshot.log_index());
  start.set_store_format(format);
  REQUIRE((*writer)->Append(BackupFrame::kStart, start.SerializeAsString()).ok());
  wire::BackupEnd end;
  for (size_t i = 0; i < kFamilies; ++i) end.add_records(0);
  REQUIRE(snapshot
              .VisitBlocks([&](RecordBlock block) {
                wire::BackupBlock to;
                const auto family = static_cast<int>(block.family);
                end.set_records(family, end.records(family) + block.records);
                to.set_family(static_cast<uint32_t>(family));
                to.set_records(block.records);
                to.set_crc32c(Crc32c(block.data));
                to.set_data(block.data);
                return (*writer)->Append(BackupFrame::kBlock, to.SerializeAsString());
              })
              .ok());
  REQUIRE((*writer)->Append(BackupFrame::kEnd, end.SerializeAsString()).ok());
  REQUIRE((*writer)->Finish().ok());
}

// Names and a cluster with two chunkservers in one store, backed up into dir/backup.
struct Fixture {
  Fixture() : fs({"/a/", "/a/f", "/g"}) {
    auto opened = ClusterState::Open({.cluster_id = "cluster-1", .group_count = 64}, Sources());
    REQUIRE(opened.ok());
    cluster = *std::move(opened);
    for (int number : {1, 2}) REQUIRE(cluster->Register(ChunkserverRequest(number)).ok());
    REQUIRE(cluster->View().groups.size() == 64);
    cluster.reset();
    WriteBackup(fs.store(), dir.path() + "/backup");
  }
  ClusterState::Sources Sources() { return {&fs.store(), &fs.log(), &fs.clock(), 1}; }
  absl::StatusOr<RestoreReport> Restore(const std::string& into) {
    return RestoreBackup({dir.path() + "/" + into, dir.path() + "/backup"}, PosixFileSystem(),
                         &fs.clock());
  }
  testing::TempDir dir;
  NamespaceFixture fs;
  std::unique_ptr<ClusterState> cluster;
};

uint64_t Counter(const MetaStore& store, Family family, std::string_view key) {
  auto value = store.Get(family, key);
  return value.ok() ? ReadBig64(*value) : 1;
}

void BeatHolding(ClusterState& cluster, int number, const wire::RegisterResponse& registered,
                 const std::string& groups) {
  wire::HeartbeatRequest request;
  request.set_server_id(registered.server_id());
  request.set_instance("instance-" + std::to_string(number));
  wire::HeldGroups* held = request.add_held();
  held->set_target_id(registered.target_ids(0));
  held->set_group_count(64);
  held->set_groups(groups);
  REQUIRE(cluster.Heartbeat(request).report_groups() == 64);
}

}  // namespace

TEST_CASE("a restored store has the names, and no number that may be in use",
          "[metaserver][restore]") {
  Fixture fixture;
  // After the backup the cluster goes on: what it gives out now must not come again.
  REQUIRE(fixture.fs.Create("/later").ok());
  auto report = fixture.Restore("meta");
  INFO(report.status().ToString());
  REQUIRE(report.ok());
  REQUIRE(report->start.cluster_id() == "cluster-1");
  auto store = MetaStore::Open({.dir = fixture.dir.path() + "/meta/db"});
  REQUIRE(store.ok());
  const std::string inodes = NextInodeKey(kRootDataset);
  REQUIRE(Counter(**store, Family::kDataset, inodes) >=
          Counter(fixture.fs.store(), Family::kDataset, inodes) + kSkippedInodes - 10000);
  REQUIRE(Counter(**store, Family::kDefault, kNextContentKey) > kSkippedIds);
  REQUIRE(Counter(**store, Family::kDefault, kNextSessionKey) > kSkippedIds);
  auto log = SingleNodeLog::Open(store->get());
  REQUIRE(log.ok());
  auto names = Namespace::Open({}, store->get(), log->get(), &fixture.fs.clock());
  REQUIRE(names.ok());
  REQUIRE((*names)->ResolvePath("/a/f").ok());
  REQUIRE_FALSE((*names)->ResolvePath("/later").ok());
  REQUIRE((*names)->sessions().List().empty());  // all ended
  REQUIRE((*names)->sessions().KnownSessions().size() == 1);
}

TEST_CASE(
    "a restored cluster forms its groups when all said what they hold, and an administrator "
    "says so",
    "[metaserver][restore]") {
  Fixture fixture;
  REQUIRE(fixture.Restore("meta").ok());
  auto store = MetaStore::Open({.dir = fixture.dir.path() + "/meta/db"});
  auto log = SingleNodeLog::Open(store->get());
  auto opened = ClusterState::Open({.cluster_id = "cluster-1", .group_count = 64},
                                   {store->get(), log->get(), &fixture.fs.clock(), 1});
  REQUIRE(opened.ok());
  ClusterState& cluster = **opened;
  const uint64_t version = cluster.map().version();
  REQUIRE(version >= kSkippedVersions);
  auto first = cluster.Register(ChunkserverRequest(1));
  REQUIRE(first.ok());
  REQUIRE(cluster.Tick().ok());
  REQUIRE(cluster.View().groups.empty());
  REQUIRE(cluster.View().restored);
  REQUIRE_THAT(cluster.View().problems.back() + cluster.View().problems.front(),
               Contains("penstock backup finish"));
  // Nothing is ordered before it is known who holds what.
  wire::DeleteContent dead;
  dead.mutable_layout()->set_storage_class(1);
  dead.set_chunk_count(3);
  REQUIRE_FALSE(cluster.orders().Delete(dead, [] {}));
  BeatHolding(cluster, 1, *first, std::string("\x03", 1) + std::string(7, '\0'));
  auto finish = cluster.FinishRestore({});
  REQUIRE_FALSE(finish.ok());  // one target is not enough for two copies
  // A server and a target of after the backup come with the id that they have.
  wire::RegisterRequest later = ChunkserverRequest(7);
  later.mutable_targets(0)->set_target_id(33);
  auto added = cluster.Register(later);
  REQUIRE(added.ok());
  REQUIRE(added->target_ids(0) == 33);
  REQUIRE(added->server_id() > kSkippedMembers);
  BeatHolding(cluster, 7, *added, std::string("\x02", 1) + std::string(7, '\0'));
  finish = cluster.FinishRestore({});
  REQUIRE(finish.ok());
  REQUIRE_FALSE(finish->formed());
  REQUIRE(finish->missing_size() == 1);  // server 2
  auto second = cluster.Register(ChunkserverRequest(2));
  REQUIRE(second.ok());
  BeatHolding(cluster, 2, *second, std::string(8, '\0'));
  wire::FinishRestoreRequest dry;
  dry.set_dry_run(true);
  finish = cluster.FinishRestore(dry);
  REQUIRE(finish->missing_size() == 0);
  REQUIRE_FALSE(finish->formed());
  finish = cluster.FinishRestore({});
  REQUIRE(finish->formed());
  REQUIRE(finish->groups_with_chunks() == 2);
  const wire::ClusterMap map = cluster.map().MapSince(0);
  REQUIRE(map.groups_size() == 64);
  for (const wire::MapGroup& group : map.groups()) {
    REQUIRE(group.epoch() > kSkippedEpochs);
    if (group.number() != 1) continue;
    REQUIRE(group.reconciling() == 2);
    REQUIRE(group.members(0).target_id() == 1);
    REQUIRE(group.members(1).target_id() == 33);
  }
  REQUIRE_FALSE(cluster.View().restored);
  REQUIRE_FALSE(cluster.FinishRestore({})->restored());  // safe to repeat
}

TEST_CASE("a restore is refused where something is, and a half one never starts",
          "[metaserver][restore]") {
  Fixture fixture;
  const std::string dir = fixture.dir.path() + "/meta";
  std::filesystem::create_directories(dir + "/db");
  REQUIRE_THAT(fixture.Restore("meta").status().ToString(), Contains("empty directory only"));
  std::filesystem::remove_all(dir);
  std::string bytes = *ReadSmallFile(PosixFileSystem(), fixture.dir.path() + "/backup", 1 << 24);
  const std::string damaged = bytes.substr(0, bytes.size() - 3);
  REQUIRE(WriteSmallFile(PosixFileSystem(), fixture.dir.path() + "/backup", damaged).ok());
  REQUIRE(absl::IsDataLoss(fixture.Restore("meta").status()));
  REQUIRE(absl::IsFailedPrecondition(CheckNotHalfRestored(dir, PosixFileSystem())));
  REQUIRE_FALSE(PosixFileSystem()->Exists(dir + "/db").value());
}

TEST_CASE("a backup of records of another format is refused", "[metaserver][restore]") {
  Fixture fixture;
  const std::string path = fixture.dir.path() + "/backup";
  std::filesystem::remove(path);
  WriteBackup(fixture.fs.store(), path, kStoreFormat + 1);
  REQUIRE(absl::IsFailedPrecondition(fixture.Restore("meta").status()));
  REQUIRE_FALSE(PosixFileSystem()->Exists(fixture.dir.path() + "/meta").value());
}

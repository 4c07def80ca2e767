#include "metaserver/fsck/fixes.h"

#include <catch2/catch.hpp>

#include <cerrno>

#include "common/content_seed.h"
#include "common/status.h"
#include "metaserver/fsck/facts.h"
#include "metaserver/reclaim/reclaimer.h"
#include "metaserver/store/keys.h"
#include "tests/metaserver/namespace_fixture.h"

using namespace penstock;
using namespace penstock::metaserver;
using Catch::Contains;

namespace {

// Damages records behind everybody's back.
struct Damage {
  explicit Damage(NamespaceFixture& fs) : store(fs.store()) {}
  void Put(Family family, const std::string& key, const std::string& value) {
    REQUIRE(store.db()->Put({}, store.family(family), key, value).ok());
  }
  void Delete(Family family, const std::string& key) {
    REQUIRE(store.db()->Delete({}, store.family(family), key).ok());
  }
  Inode Get(uint64_t ino) {
    auto inode =
        DecodeInode(InodeNumber(ino), *store.Get(Family::kInode, InodeKey(InodeNumber(ino))));
    REQUIRE(inode.ok());
    return *inode;
  }
  void Put(const Inode& inode) { Put(Family::kInode, InodeKey(inode.ino), EncodeInode(inode)); }
  MetaStore& store;
};

wire::Fix FixOf(wire::Fix::Kind kind, const Inode& inode) {
  wire::Fix fix;
  fix.set_kind(kind);
  fix.set_ino(inode.ino.value());
  fix.set_change(inode.change);
  return fix;
}

}  // namespace

TEST_CASE("facts are in order and complete", "[metaserver][fsck]") {
  NamespaceFixture fs({"/d/", "/d/a", "/d/b", "/c"});
  REQUIRE(fs.Unlink("/d/b").ok());
  wire::Facts all;
  REQUIRE(VisitFacts(fs.store(), [&](const wire::Facts& facts) {
            all.MergeFrom(facts);
            return absl::OkStatus();
          }).ok());
  REQUIRE(all.end());
  REQUIRE(all.inodes_size() == 5);
  for (int i = 1; i < all.inodes_size(); ++i) {
    REQUIRE(all.inodes(i - 1).ino() < all.inodes(i).ino());
  }
  REQUIRE(all.names_size() == 3);
  REQUIRE(all.orphans_size() == 1);
  REQUIRE(all.counted_inodes() == 5);
  REQUIRE(all.log_index() > 0);
}

TEST_CASE("counts are set only on an inode that is as it was", "[metaserver][fsck]") {
  NamespaceFixture fs({"/d/", "/d/a"});
  Damage damage(fs);
  Fixes fixes(&fs.names(), nullptr);
  Inode a = damage.Get(fs.InoOf("/d/a"));
  a.nlink = 5;
  damage.Put(a);
  wire::Fix fix = FixOf(wire::Fix::SET_INODE, a);
  fix.set_nlink(1);
  fix.set_parent(fs.InoOf("/d"));
  fix.set_change(a.change + 1);
  REQUIRE_THAT(fixes.Apply(fix).message(), Contains("changed meanwhile"));
  fix.set_change(a.change);
  REQUIRE(fixes.Apply(fix).done());
  REQUIRE(damage.Get(a.ino.value()).nlink == 1);
  Inode d = damage.Get(fs.InoOf("/d"));
  d.size = 9;
  d.nlink = 7;
  damage.Put(d);
  fix = FixOf(wire::Fix::SET_INODE, d);
  fix.set_nlink(2);
  fix.set_entries(1);
  fix.set_parent(kRootInode.value());
  REQUIRE(fixes.Apply(fix).done());
  REQUIRE(damage.Get(d.ino.value()).size == 1);
  REQUIRE(fs.Tree() == Paths{"/d/", "/d/a"});
}

TEST_CASE("what has no name gets one in lost+found", "[metaserver][fsck]") {
  NamespaceFixture fs({"/d/", "/d/a", "/f"});
  Damage damage(fs);
  Fixes fixes(&fs.names(), nullptr);
  const Inode f = damage.Get(fs.InoOf("/f"));
  const Inode d = damage.Get(fs.InoOf("/d"));
  damage.Delete(Family::kDentry, DentryKey(kRootInode, "f"));
  damage.Delete(Family::kDentry, DentryKey(kRootInode, "d"));
  REQUIRE(fixes.Apply(FixOf(wire::Fix::TO_LOST_AND_FOUND, f)).done());
  wire::Fix fix = FixOf(wire::Fix::TO_LOST_AND_FOUND, d);
  fix.set_nlink(2);
  fix.set_entries(1);
  REQUIRE(fixes.Apply(fix).done());
  const std::string folder = "/lost+found/";
  REQUIRE(fs.InoOf(folder + "inode-" + std::to_string(f.ino.value())) == f.ino.value());
  REQUIRE(fs.InoOf(folder + "inode-" + std::to_string(d.ino.value()) + "/a") != 0);
  REQUIRE_FALSE(fixes.Apply(fix).done());  // it has a name now
}

TEST_CASE("a name is removed only when it leads nowhere", "[metaserver][fsck]") {
  NamespaceFixture fs({"/d/", "/d/a", "/d/b"});
  Damage damage(fs);
  Fixes fixes(&fs.names(), nullptr);
  wire::Fix fix;
  fix.set_kind(wire::Fix::REMOVE_NAME);
  fix.set_parent(fs.InoOf("/d"));
  fix.set_ino(fs.InoOf("/d/a"));
  REQUIRE_FALSE(fixes.Apply(fix).done());
  damage.Delete(Family::kInode, InodeKey(InodeNumber(fix.ino())));
  const wire::FixResult result = fixes.Apply(fix);
  REQUIRE(result.done());
  REQUIRE_THAT(result.message(), Contains("name a"));
  REQUIRE(fs.Tree() == Paths{"/d/", "/d/b"});
  REQUIRE(damage.Get(fs.InoOf("/d")).size == 1);
}

TEST_CASE("an orphan record goes unless it is right, and never takes a named file along",
          "[metaserver][fsck]") {
  NamespaceFixture fs({"/f", "/g"});
  Damage damage(fs);
  Fixes fixes(&fs.names(), nullptr);
  const uint64_t f = fs.InoOf("/f");
  const std::string key = OrphanKey({1, 0}, InodeNumber(f));
  damage.Put(Family::kOrphan, key, EncodeOrphan({}));
  wire::Fix fix;
  fix.set_kind(wire::Fix::REMOVE_ORPHAN);
  fix.set_ino(f);
  fix.set_key(key);
  REQUIRE(fixes.Apply(fix).done());
  REQUIRE(absl::IsNotFound(fs.store().Get(Family::kOrphan, key).status()));
  fix.set_key("x");
  REQUIRE_FALSE(fixes.Apply(fix).done());
  const uint64_t g = fs.InoOf("/g");
  REQUIRE(fs.Unlink("/g").ok());
  const auto orphans = fs.store().Scan(Family::kOrphan, std::string(1, kOrphanList));
  REQUIRE(orphans->size() == 1);
  fix.set_ino(g);
  fix.set_key(orphans->front().first);
  REQUIRE_FALSE(fixes.Apply(fix).done());  // that one is right
}

TEST_CASE("the reclaimer leaves a file that has a name", "[metaserver][fsck]") {
  struct Nothing : ContentDeleter, SessionFence {
    bool Delete(const wire::DeleteContent&, absl::AnyInvocable<void() &&>) override {
      return false;
    }
    bool Truncate(const wire::TruncateContent&, absl::AnyInvocable<void() &&>) override {
      return false;
    }
    size_t overdue() const override { return 0; }
    void Fence(SessionId, absl::AnyInvocable<void() &&>) override {}
  } nothing;
  NamespaceFixture fs({"/f"});
  Damage damage(fs);
  damage.Put(Family::kOrphan, OrphanKey({1, 0}, InodeNumber(fs.InoOf("/f"))), EncodeOrphan({}));
  Reclaimer reclaimer({.grace = absl::ZeroDuration()}, &fs.names(), &nothing, &nothing);
  fs.clock().Advance(absl::Minutes(1));
  fs.Report(fs.session());
  fs.clock().Advance(absl::Seconds(1));
  REQUIRE(reclaimer.RunOnce().ok());
  REQUIRE(fs.store().Scan(Family::kOrphan, std::string(1, kOrphanList))->empty());
  REQUIRE(fs.Lookup("/f").ok());
}

TEST_CASE("counters, attributes and leaked contents", "[metaserver][fsck]") {
  NamespaceFixture fs({"/f"});
  Damage damage(fs);
  Fixes fixes(&fs.names(), nullptr);
  wire::Fix fix;
  fix.set_kind(wire::Fix::ADD_TO_COUNTERS);
  fix.set_inodes(-3);
  fix.set_bytes(-70);
  const DatasetCounters before = *fs.names().Counters(kRootDataset);
  REQUIRE(fixes.Apply(fix).done());
  REQUIRE(fs.names().Counters(kRootDataset)->inodes == before.inodes - 3);
  REQUIRE(fs.names().Counters(kRootDataset)->bytes == before.bytes - 70);
  fix.Clear();
  fix.set_kind(wire::Fix::REMOVE_XATTRS);
  fix.set_ino(fs.InoOf("/f"));
  REQUIRE_FALSE(fixes.Apply(fix).done());
  const InodeNumber gone(kRootDataset, 999);
  damage.Put(Family::kXattr, XattrKey(gone, "user.x"), "v");
  fix.set_ino(gone.value());
  REQUIRE(fixes.Apply(fix).done());
  REQUIRE(fs.store().Scan(Family::kXattr, InodeKey(gone))->empty());
  fix.Clear();
  fix.set_kind(wire::Fix::DELETE_CONTENT);
  REQUIRE_FALSE(fixes.Apply(fix).done());
  fix.mutable_layout()->set_content_id(77);
  fix.mutable_layout()->set_seed(SeedOfContent(ContentId(77)));
  fix.mutable_layout()->set_storage_class(1);
  fix.set_chunk_count(4);
  REQUIRE(fixes.Apply(fix).done());
  REQUIRE(fs.store().Scan(Family::kOrphan, std::string(1, kDeadContentList))->size() == 1);
}

TEST_CASE("a file is trimmed only while nobody writes it", "[metaserver][fsck]") {
  NamespaceFixture fs({"/f"});
  Damage damage(fs);
  Fixes fixes(&fs.names(), nullptr);
  REQUIRE(fs.PublishChunks("/f", 10 << 20).ok());
  const Inode f = damage.Get(fs.InoOf("/f"));
  wire::Fix fix = FixOf(wire::Fix::TRIM_FILE, f);
  fix.set_beyond_bytes(5000);
  fs.names().sessions().NoteOpen(fs.session(), f.ino, {.write = true, .writes = true});
  REQUIRE_FALSE(fixes.Apply(fix).done());
  wire::SessionHeartbeatRequest beat;
  beat.set_session_id(fs.session().value());
  beat.set_hold_version(UINT64_MAX);
  beat.add_released(f.ino.value());
  REQUIRE(fs.names().sessions().Heartbeat(beat).ok());
  REQUIRE(fixes.Apply(fix).done());
  REQUIRE(damage.Get(f.ino.value()).truncate.old_size == (10 << 20) + 5000);
  REQUIRE(fs.store().Scan(Family::kOrphan, std::string(1, kTruncateList))->size() == 1);
}

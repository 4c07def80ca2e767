#include "cli/fsck/metadata_check.h"

#include <sys/stat.h>
#include <catch2/catch.hpp>

#include <map>

#include "common/ids.h"

namespace penstock::cli {
namespace {

constexpr uint64_t kRoot = kRootInode.value();
uint64_t Ino(uint64_t local) { return InodeNumber(kRootDataset, local).value(); }

// A tree of one directory with a file, one file with two names, and an unlinked one; all well.
struct World {
  World() {
    Directory(1, 1, 3, 3);
    Directory(2, 1, 2, 1);
    File(3, 2, 1);
    File(4, 0, 2);
    File(5, 0, 0);
    Name(1, 2, S_IFDIR);
    Name(1, 4, S_IFREG);
    Name(1, 4, S_IFREG);
    Name(2, 3, S_IFREG);
    auto* orphan = facts.add_orphans();
    orphan->set_key("o-key-of-5");
    orphan->set_ino(Ino(5));
    facts.set_counted_inodes(5);
    facts.set_counted_bytes(300);
    facts.set_end(true);
  }
  wire::InodeFacts* Directory(uint64_t local, uint64_t parent, uint32_t nlink, uint64_t entries) {
    wire::InodeFacts* inode = facts.add_inodes();
    inode->set_ino(Ino(local));
    inode->set_mode(S_IFDIR | 0755);
    inode->set_nlink(nlink);
    inode->set_size(entries);
    inode->set_parent(parent);
    inode->set_change(7);
    return inode;
  }
  wire::InodeFacts* File(uint64_t local, uint64_t parent, uint32_t nlink) {
    wire::InodeFacts* inode = facts.add_inodes();
    inode->set_ino(Ino(local));
    inode->set_mode(S_IFREG | 0644);
    inode->set_nlink(nlink);
    inode->set_size(100);
    inode->set_parent(parent);
    inode->set_change(7);
    inode->set_content_id(1000 + local);
    inode->set_chunk_size_log2(22);
    return inode;
  }
  void Name(uint64_t parent, uint64_t child, uint32_t type) {
    wire::NameFacts* name = facts.add_names();
    name->set_parent(Ino(parent));
    name->set_ino(Ino(child));
    name->set_type(type);
  }
  wire::InodeFacts& At(int i) { return *facts.mutable_inodes(i); }
  // Kinds of the problems, with how many of each.
  std::map<ProblemKind, int> Check() {
    problems.clear();
    // So few rows in memory that they are spilled.
    MetadataCheck check(
        "/tmp", [this](Problem p) { problems.push_back(std::move(p)); }, 2);
    REQUIRE(check.Take(facts).ok());
    REQUIRE(check.Finish().ok());
    std::map<ProblemKind, int> kinds;
    for (const Problem& problem : problems) ++kinds[problem.kind];
    return kinds;
  }
  wire::Fix Fix() const {
    REQUIRE(problems.size() == 1);
    REQUIRE(problems[0].fix.has_value());
    return *problems[0].fix;
  }
  wire::Facts facts;
  std::vector<Problem> problems;
};

using Kinds = std::map<ProblemKind, int>;

}  // namespace

TEST_CASE("a tree that is well has no problem", "[cli][fsck]") {
  World world;
  REQUIRE(world.Check() == Kinds{});
}

TEST_CASE("wrong links, entries and parents are found, with the right ones", "[cli][fsck]") {
  World links;
  links.At(3).set_nlink(1);
  REQUIRE(links.Check() == Kinds{{ProblemKind::kLinkCount, 1}});
  REQUIRE(links.Fix().kind() == wire::Fix::SET_INODE);
  REQUIRE(links.Fix().nlink() == 2);
  REQUIRE(links.Fix().change() == 7);
  World entries;
  entries.At(1).set_size(5);
  REQUIRE(entries.Check() == Kinds{{ProblemKind::kLinkCount, 1}});
  REQUIRE(entries.Fix().entries() == 1);
  REQUIRE(entries.Fix().nlink() == 2);
  World parent;
  parent.At(2).set_parent(1);
  REQUIRE(parent.Check() == Kinds{{ProblemKind::kLinkCount, 1}});
  REQUIRE(parent.Fix().parent() == Ino(2));
  World unknown;  // of a file that had more links once: not wrong
  unknown.At(2).set_parent(0);
  REQUIRE(unknown.Check() == Kinds{});
  World root;
  root.At(0).set_nlink(9);
  REQUIRE(root.Check() == Kinds{{ProblemKind::kLinkCount, 1}});
  REQUIRE(root.Fix().parent() == kRoot);
}

TEST_CASE("inodes without a name and names without an inode are found", "[cli][fsck]") {
  World nameless;
  nameless.facts.clear_orphans();
  REQUIRE(nameless.Check() == Kinds{{ProblemKind::kNameless, 1}});
  REQUIRE(nameless.Fix().kind() == wire::Fix::TO_LOST_AND_FOUND);
  World dangling;
  dangling.Name(2, 77, S_IFREG);
  dangling.At(1).set_size(2);
  REQUIRE(dangling.Check() == Kinds{{ProblemKind::kDanglingName, 1}});
  REQUIRE(dangling.Fix().parent() == Ino(2));
  REQUIRE(dangling.Fix().ino() == Ino(77));
  World homeless;  // its name stands in no directory
  homeless.File(6, 66, 1);
  homeless.Name(66, 6, S_IFREG);
  homeless.facts.set_counted_inodes(6);
  homeless.facts.set_counted_bytes(400);
  REQUIRE(homeless.Check() == Kinds{{ProblemKind::kDanglingName, 1}, {ProblemKind::kNameless, 1}});
}

TEST_CASE("the reclaimer's lists are compared with the inodes", "[cli][fsck]") {
  World named;
  named.facts.mutable_orphans(0)->set_ino(Ino(3));
  REQUIRE(named.Check() == Kinds{{ProblemKind::kOrphanRecord, 1}, {ProblemKind::kNameless, 1}});
  World gone;
  auto* orphan = gone.facts.add_orphans();
  orphan->set_key("o-key-of-99");
  orphan->set_ino(Ino(99));
  REQUIRE(gone.Check() == Kinds{{ProblemKind::kOrphanRecord, 1}});
  REQUIRE(gone.Fix().key() == "o-key-of-99");
  World cut;
  cut.At(2).set_truncating(true);
  REQUIRE(cut.Check() == Kinds{{ProblemKind::kTruncationRecord, 1}});
  cut.facts.add_truncations()->set_ino(Ino(3));
  REQUIRE(cut.Check() == Kinds{});
  cut.At(2).set_truncating(false);
  REQUIRE(cut.Check() == Kinds{{ProblemKind::kTruncationRecord, 1}});
  REQUIRE(cut.Fix().kind() == wire::Fix::REMOVE_TRUNCATION);
  World attributes;
  attributes.facts.add_xattrs(Ino(3));
  REQUIRE(attributes.Check() == Kinds{});
  attributes.facts.add_xattrs(Ino(50));
  REQUIRE(attributes.Check() == Kinds{{ProblemKind::kAttributes, 1}});
}

TEST_CASE("counters, damaged records, types and second names of directories are found",
          "[cli][fsck]") {
  World counters;
  counters.facts.set_counted_inodes(7);
  counters.facts.set_counted_bytes(100);
  REQUIRE(counters.Check() == Kinds{{ProblemKind::kCounters, 1}});
  REQUIRE(counters.Fix().inodes() == -2);
  REQUIRE(counters.Fix().bytes() == 200);
  World damaged;
  damaged.At(2).set_damaged(true);
  REQUIRE(damaged.Check() == Kinds{{ProblemKind::kDamagedRecord, 1}});
  World type;
  type.facts.mutable_names(3)->set_type(S_IFLNK);
  REQUIRE(type.Check() == Kinds{{ProblemKind::kNameType, 1}});
  World twice;
  twice.facts.clear_names();
  twice.Name(1, 2, S_IFDIR);
  twice.Name(1, 2, S_IFDIR);
  twice.Name(1, 4, S_IFREG);
  twice.Name(1, 4, S_IFREG);
  twice.Name(2, 3, S_IFREG);
  twice.At(0).set_size(4);
  twice.At(0).set_nlink(4);
  REQUIRE(twice.Check() == Kinds{{ProblemKind::kManyNames, 1}});
}

TEST_CASE("facts that end early are refused", "[cli][fsck]") {
  World world;
  world.facts.set_end(false);
  MetadataCheck check("/tmp", [](Problem) {});
  REQUIRE(check.Take(world.facts).ok());
  REQUIRE(absl::IsDataLoss(check.Finish()));
}

}  // namespace penstock::cli

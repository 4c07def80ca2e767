#include "metaserver/acl/acl_access.h"

#include <catch2/catch.hpp>

#include <vector>

namespace penstock::metaserver {
namespace {

constexpr uint32_t kBoth = kMayRead | kMayWrite;

bool May(const GuardedInode& inode, uint32_t uid, const std::vector<uint32_t>& groups,
         uint32_t wanted) {
  return MayAccess(inode, {uid, groups[0], absl::MakeConstSpan(groups).subspan(1)}, wanted);
}

}  // namespace

TEST_CASE("without a list the caller's class of the mode decides", "[metaserver][acl]") {
  const GuardedInode inode{.mode = 0460, .uid = 1, .gid = 10, .access = {}};
  REQUIRE(May(inode, 1, {10}, kMayRead));
  REQUIRE_FALSE(May(inode, 1, {10}, kMayWrite));  // the owner, although his group might
  REQUIRE(May(inode, 2, {10}, kBoth));
  REQUIRE(May(inode, 2, {9, 10}, kBoth));
  REQUIRE_FALSE(May(inode, 2, {9}, kMayRead));
  REQUIRE(May(inode, 0, {0}, kBoth));
  REQUIRE(May(inode, 2, {9}, 0));
}

TEST_CASE("the entry of the caller decides, under the mask", "[metaserver][acl]") {
  GuardedInode inode{.mode = 0666, .uid = 1, .gid = 10, .access = {}};
  inode.access.entries = {{AclTag::kUserObj, 6},  {AclTag::kUser, 6, 2},   {AclTag::kUser, 0, 3},
                          {AclTag::kGroupObj, 4}, {AclTag::kGroup, 2, 20}, {AclTag::kMask, 7},
                          {AclTag::kOther, 6}};
  REQUIRE(May(inode, 2, {9}, kBoth));
  REQUIRE_FALSE(May(inode, 3, {10}, kMayRead));  // named: neither group nor other help
  REQUIRE(May(inode, 4, {10}, kMayRead));
  REQUIRE(May(inode, 4, {9, 20}, kMayWrite));
  REQUIRE_FALSE(May(inode, 4, {10, 20}, kBoth));  // not added up
  REQUIRE(May(inode, 4, {10, 20}, kMayWrite));
  REQUIRE(May(inode, 4, {9}, kBoth));
  inode.access.Find(AclTag::kMask)->permissions = 4;
  REQUIRE_FALSE(May(inode, 2, {9}, kMayWrite));
  REQUIRE(May(inode, 1, {9}, kBoth));
  REQUIRE(May(inode, 4, {9}, kBoth));
}

}  // namespace penstock::metaserver

#include "metaserver/acl/acl_mode.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

namespace penstock::metaserver {
namespace {

Acl Minimal(uint16_t user, uint16_t group, uint16_t other) {
  return {{{AclTag::kUserObj, user}, {AclTag::kGroupObj, group}, {AclTag::kOther, other}}};
}

Acl Extended(uint16_t user, uint16_t group, uint16_t mask, uint16_t other) {
  return {{{AclTag::kUserObj, user},
           {AclTag::kUser, 7, 1000},
           {AclTag::kGroupObj, group},
           {AclTag::kMask, mask},
           {AclTag::kOther, other}}};
}

}  // namespace

TEST_CASE("the mode shows owner, mask and other", "[metaserver][acl]") {
  REQUIRE(ModeBitsOf(Extended(7, 1, 5, 4)) == 0754);
  REQUIRE(ModeBitsOf(Minimal(6, 4, 0)) == 0640);
}

TEST_CASE("only a list that the mode says as well is minimal", "[metaserver][acl]") {
  REQUIRE(IsMinimal(Minimal(6, 4, 0)));
  REQUIRE_FALSE(IsMinimal(Extended(6, 4, 4, 0)));
  Acl with_mask = Minimal(6, 4, 0);
  with_mask.entries.insert(with_mask.entries.begin() + 2, {AclTag::kMask, 4});
  REQUIRE_FALSE(IsMinimal(with_mask));
}

TEST_CASE("chmod changes owner, mask and other, or the group without a mask", "[metaserver][acl]") {
  Acl acl = Extended(7, 5, 7, 0);
  SetModeBits(acl, S_IFREG | 04641);
  REQUIRE(acl == Extended(6, 5, 4, 1));
  acl = Minimal(7, 7, 7);
  SetModeBits(acl, 0640);
  REQUIRE(acl == Minimal(6, 4, 0));
}

TEST_CASE("a new inode inherits the default list, cut by its mode", "[metaserver][acl]") {
  const InheritedAccess got = InheritAccess(Extended(7, 5, 7, 5), S_IFDIR | 02640);
  REQUIRE(got.mode == (S_IFDIR | 02640u));
  REQUIRE(*got.access == Extended(6, 5, 4, 0));
  // The list takes bits away too.
  REQUIRE(InheritAccess(Extended(5, 7, 4, 1), S_IFREG | 0777).mode == (S_IFREG | 0541u));
}

TEST_CASE("a minimal default list makes a mode and no list", "[metaserver][acl]") {
  const InheritedAccess got = InheritAccess(Minimal(6, 4, 4), S_IFREG | 0777);
  REQUIRE(got.mode == (S_IFREG | 0644u));
  REQUIRE_FALSE(got.access.has_value());
}

}  // namespace penstock::metaserver

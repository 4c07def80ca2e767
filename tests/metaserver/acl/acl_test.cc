#include "metaserver/acl/acl.h"

#include <catch2/catch.hpp>

#include "common/status.h"

namespace penstock::metaserver {
namespace {

const Acl kFull{{{AclTag::kUserObj, 7},
                 {AclTag::kUser, 6, 1001},
                 {AclTag::kUser, 4, 1000},
                 {AclTag::kGroupObj, 5},
                 {AclTag::kGroup, 1, 200},
                 {AclTag::kMask, 7},
                 {AclTag::kOther, 0}}};

int ErrnoOfList(const std::vector<AclEntry>& entries) {
  return ErrnoOf(ParseAcl(FormatAcl({entries})).status());
}

}  // namespace

TEST_CASE("a list has the bytes that Linux gives it", "[metaserver][acl]") {
  const Acl minimal{{{AclTag::kUserObj, 6}, {AclTag::kGroupObj, 4}, {AclTag::kOther, 0}}};
  const std::string bytes(
      "\2\0\0\0"
      "\1\0\6\0\xff\xff\xff\xff"
      "\4\0\4\0\xff\xff\xff\xff"
      "\x20\0\0\0\xff\xff\xff\xff",
      28);
  REQUIRE(FormatAcl(minimal) == bytes);
  REQUIRE(*ParseAcl(bytes) == minimal);
  REQUIRE(*ParseAcl(FormatAcl(kFull)) == kFull);
}

TEST_CASE("no bytes and no entries are an empty list", "[metaserver][acl]") {
  REQUIRE(ParseAcl("")->entries.empty());
  REQUIRE(ParseAcl(std::string("\2\0\0\0", 4))->entries.empty());
}

TEST_CASE("bytes that are no list are refused", "[metaserver][acl]") {
  const std::string good = FormatAcl(kFull);
  REQUIRE(ErrnoOf(ParseAcl(good.substr(0, 3)).status()) == EINVAL);
  REQUIRE(ErrnoOf(ParseAcl(good.substr(0, good.size() - 1)).status()) == EINVAL);
  REQUIRE(ErrnoOf(ParseAcl(good + "x").status()) == EINVAL);
  std::string version = good;
  version[0] = 1;
  REQUIRE(ErrnoOf(ParseAcl(version).status()) == EOPNOTSUPP);
  std::string tag = good;
  tag[4] = 3;
  REQUIRE(ErrnoOf(ParseAcl(tag).status()) == EINVAL);
  std::string permission = good;
  permission[6] = 8;
  REQUIRE(ErrnoOf(ParseAcl(permission).status()) == EINVAL);
  std::string no_id = good;
  no_id.replace(16, 4, "\xff\xff\xff\xff");
  REQUIRE(ErrnoOf(ParseAcl(no_id).status()) == EINVAL);
}

TEST_CASE("a list without what each list needs is refused", "[metaserver][acl]") {
  for (size_t missing : {0, 3, 5, 6}) {  // owner, owning group, mask, other
    std::vector<AclEntry> entries = kFull.entries;
    entries.erase(entries.begin() + static_cast<ptrdiff_t>(missing));
    INFO(missing);
    REQUIRE(ErrnoOfList(entries) == EINVAL);
  }
}

TEST_CASE("entries out of order or twice are refused, but named ones repeat", "[metaserver][acl]") {
  for (size_t at : {0, 2, 3, 4, 5}) {
    std::vector<AclEntry> entries = kFull.entries;
    std::swap(entries[at], entries[at + 1]);
    INFO(at);
    REQUIRE(ErrnoOfList(entries) == EINVAL);
  }
  for (size_t twice : {0, 3, 5, 6}) {
    std::vector<AclEntry> entries = kFull.entries;
    entries.insert(entries.begin() + static_cast<ptrdiff_t>(twice), entries[twice]);
    INFO(twice);
    REQUIRE(ErrnoOfList(entries) == EINVAL);
  }
  std::vector<AclEntry> entries = kFull.entries;
  entries.insert(entries.begin() + 1, entries[1]);
  REQUIRE(ErrnoOfList(entries) == 0);
}

TEST_CASE("a list fits into a page", "[metaserver][acl]") {
  std::vector<AclEntry> entries = kFull.entries;
  while (entries.size() < 511) entries.insert(entries.begin() + 1, {AclTag::kUser, 1, 5});
  REQUIRE(ErrnoOfList(entries) == 0);
  entries.insert(entries.begin() + 1, {AclTag::kUser, 1, 5});
  REQUIRE(ErrnoOfList(entries) == E2BIG);
}

}  // namespace penstock::metaserver

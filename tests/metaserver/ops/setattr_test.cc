#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "common/status.h"
#include "metaserver/ops/mutations.h"
#include "tests/metaserver/namespace_fixture.h"

namespace penstock::metaserver {
namespace {

wire::SetattrRequest Change(uint64_t ino, uint32_t fields) {
  wire::SetattrRequest request;
  request.set_ino(ino);
  request.set_fields(fields);
  return request;
}

}  // namespace

TEST_CASE("times keep nanoseconds and years before 1970", "[metaserver][setattr]") {
  NamespaceFixture fs({"/f"});
  auto request = Change(fs.InoOf("/f"), wire::SETATTR_ATIME | wire::SETATTR_MTIME);
  request.mutable_atime()->set_seconds(-12345678901);
  request.mutable_atime()->set_nanos(999999999);
  request.mutable_mtime()->set_seconds(99999999999);
  REQUIRE(fs.Setattr(request).ok());
  fs.Reopen();
  fs.WaitForSessions();
  const wire::Attr attr = fs.Lookup("/f")->attr();
  REQUIRE(attr.atime().seconds() == -12345678901);
  REQUIRE(attr.atime().nanos() == 999999999);
  REQUIRE(attr.mtime().seconds() == 99999999999);
  request.mutable_atime()->set_nanos(1000000000);
  REQUIRE(ErrnoOf(fs.Setattr(request).status()) == EINVAL);
}

TEST_CASE("a read moves atime where relatime wants it, and nothing else", "[metaserver][setattr]") {
  NamespaceFixture fs({"/f"});
  const uint64_t ino = fs.InoOf("/f");
  const wire::Attr before = fs.Lookup("/f")->attr();
  auto read = Change(ino, wire::SETATTR_ATIME_READ);
  fs.clock().Advance(absl::Seconds(5));
  const int64_t made = before.mtime().seconds();
  const wire::Attr after = fs.Setattr(read)->entry().attr();  // at the server's now
  REQUIRE(after.atime().seconds() == made + 5);
  REQUIRE(after.mtime().SerializeAsString() == before.mtime().SerializeAsString());
  REQUIRE(after.ctime().SerializeAsString() == before.ctime().SerializeAsString());
  REQUIRE(after.data_version() == before.data_version());
  // It is newer than the last change now: for a day, reads leave it.
  read.mutable_atime()->set_seconds(made + 100);
  const wire::Attr left = fs.Setattr(read)->entry().attr();
  REQUIRE(left.atime().seconds() == made + 5);
  REQUIRE(left.change() == after.change());
  read.mutable_atime()->set_seconds(made + 5 + 24 * 3600);
  REQUIRE(fs.Setattr(read)->entry().attr().atime().seconds() == made + 5 + 24 * 3600);
  // strictatime; but it never goes back.
  read.set_fields(wire::SETATTR_ATIME_READ | wire::SETATTR_ATIME_NOW);
  read.mutable_atime()->set_seconds(made + 6 + 24 * 3600);
  REQUIRE(fs.Setattr(read)->entry().attr().atime().seconds() == made + 6 + 24 * 3600);
  read.mutable_atime()->set_seconds(made);
  REQUIRE(fs.Setattr(read)->entry().attr().atime().seconds() == made + 6 + 24 * 3600);
  read.mutable_atime()->set_nanos(1000000000);
  REQUIRE(ErrnoOf(fs.Setattr(read).status()) == EINVAL);
}

TEST_CASE("chown clears set-id bits as Linux does", "[metaserver][setattr]") {
  NamespaceFixture fs({"/f"});
  auto chmod = Change(fs.InoOf("/f"), wire::SETATTR_MODE);
  chmod.set_mode(06755);
  REQUIRE(fs.Setattr(chmod)->entry().attr().mode() == (S_IFREG | 06755u));
  auto chown = Change(fs.InoOf("/f"), wire::SETATTR_UID);
  chown.set_uid(5);
  REQUIRE(fs.Setattr(chown)->entry().attr().mode() == (S_IFREG | 0755u));
  chmod.set_mode(06745);  // the group may not execute: set-group-id means locking and stays
  REQUIRE(fs.Setattr(chmod).ok());
  auto kill = Change(fs.InoOf("/f"), wire::SETATTR_KILL_SUIDGID);
  REQUIRE(fs.Setattr(kill)->entry().attr().mode() == (S_IFREG | 02745u));
}

TEST_CASE("a change by one outside of the group clears set-group-id that it cannot execute",
          "[metaserver][setattr]") {
  NamespaceFixture fs({"/f"});
  auto chmod = Change(fs.InoOf("/f"), wire::SETATTR_MODE | wire::SETATTR_GID);
  chmod.set_mode(02664);
  chmod.set_gid(7);
  REQUIRE(fs.Setattr(chmod)->entry().attr().mode() == (S_IFREG | 02664u));
  auto mode_after = [&](const wire::SetattrRequest& request, uint32_t gid) {
    fs.set_credentials(0, 0);
    REQUIRE(fs.Setattr(chmod).ok());
    fs.set_credentials(1000, gid);
    return fs.Setattr(request)->entry().attr().mode() & 07777u;
  };
  auto kill = Change(fs.InoOf("/f"), wire::SETATTR_KILL_SUIDGID);
  REQUIRE(mode_after(kill, 7) == 02664u);
  REQUIRE(mode_after(kill, 8) == 0664u);
  // A new group: the old one counts, also where the kernel sends the mode that it knows.
  auto give = Change(fs.InoOf("/f"), wire::SETATTR_GID);
  give.set_gid(8);
  REQUIRE(mode_after(give, 8) == 0664u);
  REQUIRE(mode_after(give, 7) == 02664u);
  give.set_fields(wire::SETATTR_GID | wire::SETATTR_MODE);
  give.set_mode(02664);
  REQUIRE(mode_after(give, 8) == 0664u);
}

TEST_CASE("an open that truncates clears set-id bits for all but root", "[metaserver][open]") {
  NamespaceFixture fs({"/f"});
  auto chmod = Change(fs.InoOf("/f"), wire::SETATTR_MODE);
  chmod.set_mode(06777);
  REQUIRE(fs.Setattr(chmod).ok());
  auto create = [&](bool truncate) {
    return fs.Create("/f", 0644, /*exclusive=*/false, truncate)->entry().attr().mode() & 07777u;
  };
  REQUIRE(create(true) == 06777u);
  fs.set_credentials(1000, 1000);
  REQUIRE(create(false) == 06777u);
  REQUIRE(create(true) == 0777u);
}

TEST_CASE("publishing sets the times of the write, not of the close", "[metaserver][publish]") {
  NamespaceFixture fs({"/f"});
  const wire::Attr before = fs.Lookup("/f")->attr();
  wire::PublishRequest request;
  *request.mutable_context() = fs.Context();
  request.set_ino(fs.InoOf("/f"));
  request.set_set_inline(true);
  request.set_inline_data("bytes");
  request.set_bytes_changed(true);
  request.set_expected_data_version(before.data_version());
  request.mutable_mtime()->set_seconds(before.ctime().seconds() + 3);
  fs.clock().Advance(absl::Seconds(100));
  auto published = fs.names().Mutate(metaserver::Publish, request);
  REQUIRE(published.ok());
  REQUIRE(published->entry().attr().ctime().seconds() == before.ctime().seconds() + 3);
  REQUIRE(published->entry().attr().mtime().seconds() == before.ctime().seconds() + 3);
  // Bytes from before the last change of attributes: ctime moves all the same.
  const wire::Attr seen = published->entry().attr();
  *request.mutable_context() = fs.Context();
  request.set_expected_data_version(seen.data_version());
  request.mutable_mtime()->set_seconds(before.ctime().seconds() + 1);
  published = fs.names().Mutate(metaserver::Publish, request);
  REQUIRE(published.ok());
  REQUIRE(published->entry().attr().ctime().nanos() == seen.ctime().nanos() + 1);
  REQUIRE(published->entry().attr().mtime().seconds() == before.ctime().seconds() + 1);
}

TEST_CASE("an inline file is cut and grown in its record", "[metaserver][truncate]") {
  NamespaceFixture fs({"/f"});
  REQUIRE(fs.PublishInline("/f", "hello world").ok());
  REQUIRE(fs.Truncate("/f", 5)->entry().inline_data() == "hello");
  auto grown = fs.Truncate("/f", 7);
  REQUIRE(grown->entry().inline_data() == std::string("hello\0\0", 7));
  REQUIRE(grown->truncate_intent() == 0);
  // Beyond the record's limit the bytes must move to chunk 0 first.
  REQUIRE(ReasonOf(fs.Truncate("/f", 10000).status()) == Reason::kInlineDropped);
  REQUIRE(fs.Truncate("/f", 0).ok());
  auto hole = fs.Truncate("/f", 10000);
  REQUIRE(hole->entry().attr().size() == 10000);
  REQUIRE_FALSE(hole->entry().is_inline());
}

TEST_CASE("a partial truncation is an intent until it is done", "[metaserver][truncate]") {
  NamespaceFixture fs({"/f"});
  const SessionId other = fs.OpenSession("node2");
  REQUIRE(fs.PublishChunks("/f", 100 << 20).ok());
  auto cut = fs.Truncate("/f", 5 << 20);
  REQUIRE(cut.ok());
  REQUIRE(cut->truncate_intent() != 0);
  REQUIRE(cut->truncate_old_size() == 100 << 20);
  REQUIRE(cut->truncate_layout().content_id() == cut->entry().layout().content_id());
  REQUIRE(cut->entry().truncating());
  REQUIRE(cut->entry().attr().size() == 5 << 20);

  wire::OpenRequest open;
  open.mutable_context()->set_session_id(other.value());
  open.set_ino(fs.InoOf("/f"));
  open.set_write(true);
  auto refused = fs.names().Mutate(Open, open);
  REQUIRE(absl::IsAborted(refused.status()));
  REQUIRE(ReasonOf(refused.status()) == Reason::kTruncating);
  REQUIRE(ReasonOf(fs.Truncate("/f", 6 << 20).status()) == Reason::kTruncating);

  fs.Reopen();  // the intent survives
  fs.WaitForSessions();
  REQUIRE(fs.Lookup("/f")->truncating());
  wire::TruncateDoneRequest done;
  *done.mutable_context() = fs.Context();
  done.set_ino(fs.InoOf("/f"));
  done.set_truncate_intent(cut->truncate_intent());
  REQUIRE_FALSE(fs.names().Mutate(TruncateDone, done)->entry().truncating());
  REQUIRE(fs.names().Mutate(Open, open).ok());
}

TEST_CASE("a session's own unfinished truncation is begun anew", "[metaserver][truncate]") {
  NamespaceFixture fs({"/f"});
  REQUIRE(fs.PublishChunks("/f", 100 << 20).ok());
  const auto first = fs.Truncate("/f", 5 << 20);
  const auto again = fs.Truncate("/f", 5 << 20);  // by the client that came after its death
  REQUIRE(again.ok());
  REQUIRE(again->truncate_intent() > first->truncate_intent());
  REQUIRE(again->truncate_old_size() == 100 << 20);
  REQUIRE(again->truncate_layout().content_id() == first->truncate_layout().content_id());
  REQUIRE(again->entry().attr().data_version() == first->entry().attr().data_version());
  const auto further = fs.Truncate("/f", 3 << 20);
  REQUIRE(further->truncate_old_size() == 100 << 20);
  REQUIRE(further->entry().attr().size() == 3 << 20);

  const auto finish = [&](uint64_t intent) {
    wire::TruncateDoneRequest done;
    *done.mutable_context() = fs.Context();
    done.set_ino(fs.InoOf("/f"));
    done.set_truncate_intent(intent);
    return fs.names().Mutate(TruncateDone, done)->entry().truncating();
  };
  REQUIRE(finish(first->truncate_intent()));
  REQUIRE(finish(again->truncate_intent()));
  // What is not cut yet must not be seen again.
  REQUIRE(ReasonOf(fs.PublishChunks("/f", 4 << 20).status()) == Reason::kTruncating);
  REQUIRE(fs.PublishChunks("/f", 2 << 20).ok());
  REQUIRE_FALSE(finish(further->truncate_intent()));
  REQUIRE(fs.PublishChunks("/f", 4 << 20).ok());
  REQUIRE(fs.names().Counters(kRootDataset)->bytes == 4 << 20);
  REQUIRE(fs.store().Scan(Family::kOrphan, "")->empty());
}

TEST_CASE("emptying a file ends the session's own unfinished truncation",
          "[metaserver][truncate]") {
  NamespaceFixture fs({"/f"});
  REQUIRE(fs.PublishChunks("/f", 100 << 20).ok());
  REQUIRE(fs.Truncate("/f", 5 << 20).ok());
  const auto emptied = fs.Truncate("/f", 0);
  REQUIRE(emptied.ok());
  REQUIRE(emptied->truncate_intent() == 0);
  REQUIRE_FALSE(emptied->entry().truncating());
  REQUIRE(fs.Truncate("/f", 10000).ok());
}

TEST_CASE("truncation to zero gives a new content", "[metaserver][truncate]") {
  NamespaceFixture fs({"/f"});
  REQUIRE(fs.PublishChunks("/f", 100 << 20).ok());
  const auto before = *fs.Lookup("/f");
  auto cut = fs.Truncate("/f", 0);
  REQUIRE(cut->entry().is_inline());
  REQUIRE(cut->entry().layout().content_id() != before.layout().content_id());
  REQUIRE(cut->entry().attr().data_version() > before.attr().data_version());
  auto late = fs.PublishChunks("/f", 10);  // sees the new content id
  REQUIRE(late.ok());
  wire::PublishRequest old;
  *old.mutable_context() = fs.Context();
  old.set_ino(fs.InoOf("/f"));
  old.set_content_id(before.layout().content_id());
  old.set_size_at_least(1 << 20);
  REQUIRE(ReasonOf(fs.names().Mutate(Publish, old).status()) == Reason::kContentChanged);
}

TEST_CASE("sizes have limits and only files have them", "[metaserver][truncate]") {
  NamespaceFixture fs({"/f", "/d/"});
  REQUIRE(ErrnoOf(fs.Truncate("/f", uint64_t{1} << 60).status()) == EFBIG);
  REQUIRE(ErrnoOf(fs.Truncate("/d", 1).status()) == EISDIR);
  REQUIRE(fs.Truncate("/f", uint64_t{1} << 46).ok());  // 64 TiB
  REQUIRE(fs.Lookup("/f")->attr().blocks() == 0);      // one hole
}

TEST_CASE("inline content is published on the condition of its version", "[metaserver][publish]") {
  NamespaceFixture fs({"/f"});
  REQUIRE(fs.PublishInline("/f", "one")->entry().inline_data() == "one");
  wire::PublishRequest stale;
  *stale.mutable_context() = fs.Context();
  stale.set_ino(fs.InoOf("/f"));
  stale.set_set_inline(true);
  stale.set_inline_data("two");
  stale.set_expected_data_version(1);
  auto refused = fs.names().Mutate(Publish, stale);
  REQUIRE(absl::IsAborted(refused.status()));
  REQUIRE(ReasonOf(refused.status()) == Reason::kInlineDropped);
  auto dropped = fs.PublishChunks("/f", 8192);
  REQUIRE(dropped->entry().attr().size() == 8192);
  REQUIRE_FALSE(dropped->entry().is_inline());
  REQUIRE(dropped->entry().inline_data().empty());
  REQUIRE(fs.PublishChunks("/f", 4096)->entry().attr().size() == 8192);  // never shrinks
  REQUIRE(fs.names().Counters(kRootDataset)->bytes == 8192);
}

TEST_CASE("another session's writer is shown", "[metaserver][open]") {
  NamespaceFixture fs({"/f"});
  const SessionId other = fs.OpenSession("node2");
  wire::OpenRequest open;
  open.mutable_context()->set_session_id(other.value());
  open.set_ino(fs.InoOf("/f"));
  open.set_write(true);
  REQUIRE_FALSE(fs.names().Mutate(Open, open)->entry().other_writers());
  *open.mutable_context() = fs.Context();
  REQUIRE(fs.names().Mutate(Open, open)->entry().other_writers());
}

}  // namespace penstock::metaserver

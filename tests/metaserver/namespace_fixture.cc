#include "tests/metaserver/namespace_fixture.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "common/status.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/ops/read_operations.h"

namespace penstock::metaserver {

NamespaceFixture::NamespaceFixture(const Paths& paths, NamespaceOptions options)
    : options_(options) {
  Open();
  session_ = OpenSession();
  for (const std::string& path : paths) {
    if (path.back() == '/') {
      REQUIRE(Mkdir(path.substr(0, path.size() - 1)).ok());
    } else {
      REQUIRE(Create(path).ok());
    }
  }
}

NamespaceFixture::~NamespaceFixture() { Close(); }

void NamespaceFixture::Open() {
  MetaStoreOptions options;
  options.dir = dir_.path() + "/" + std::to_string(generation_);
  auto store = MetaStore::Open(options);
  REQUIRE(store.ok());
  store_ = *std::move(store);
  auto log = SingleNodeLog::Open(store_.get());
  REQUIRE(log.ok());
  log_ = *std::move(log);
  auto names = Namespace::Open(options_, store_.get(), log_.get(), &clock_);
  REQUIRE(names.ok());
  names_ = *std::move(names);
}

void NamespaceFixture::Close() {
  names_.reset();
  log_.reset();
  store_.reset();
}

void NamespaceFixture::Reopen(bool kill) {
  if (kill) {
    const std::string base = dir_.path() + "/";
    // Only RocksDB's own clearing up is held back: it would move files under the copy.
    REQUIRE(store_->db()->PauseBackgroundWork().ok());
    REQUIRE(store_->db()->DisableFileDeletions().ok());
    std::filesystem::copy(base + std::to_string(generation_),
                          base + std::to_string(generation_ + 1),
                          std::filesystem::copy_options::recursive);
    REQUIRE(store_->db()->EnableFileDeletions(/*force=*/true).ok());
    REQUIRE(store_->db()->ContinueBackgroundWork().ok());
    Close();
    std::filesystem::remove_all(base + std::to_string(generation_));
    ++generation_;
  } else {
    Close();
  }
  Open();
}

SessionId NamespaceFixture::OpenSession(const std::string& hostname) {
  wire::OpenSessionRequest request;
  request.set_hostname(hostname);
  request.set_mountpoint("/mnt/" + hostname);
  auto id = names_->sessions().OpenSession(request, "127.0.0.1:1");
  REQUIRE(id.ok());
  return *id;
}

void NamespaceFixture::Report(SessionId session) {
  wire::SessionHeartbeatRequest request;
  request.set_session_id(session.value());
  request.set_whole(true);
  REQUIRE(names_->sessions().Heartbeat(request).ok());
}

wire::MetaContext NamespaceFixture::Context() {
  wire::MetaContext context;
  context.set_session_id(session_.value());
  context.set_slot(0);
  context.set_sequence(++sequence_);
  *context.mutable_credentials() = credentials_;
  return context;
}

void NamespaceFixture::set_credentials(uint32_t uid, uint32_t gid) {
  credentials_.set_uid(uid);
  credentials_.set_gid(gid);
}

absl::StatusOr<wire::Entry> NamespaceFixture::Lookup(const std::string& path) {
  return names_->ResolvePath(path);
}

uint64_t NamespaceFixture::InoOf(const std::string& path) {
  auto entry = Lookup(path);
  return entry.ok() ? entry->attr().ino() : 0;
}

absl::StatusOr<wire::Entry> NamespaceFixture::Getattr(uint64_t ino) {
  return names_->EntryOf(InodeNumber(ino));
}

std::pair<uint64_t, std::string> NamespaceFixture::Split(const std::string& path) {
  const size_t slash = path.rfind('/');
  const uint64_t parent = InoOf(path.substr(0, slash));
  return {parent == 0 ? InodeNumber(kRootDataset, 999999999).value() : parent,
          path.substr(slash + 1)};
}

absl::StatusOr<wire::CreateResponse> NamespaceFixture::Create(const std::string& path,
                                                              uint32_t mode, bool exclusive,
                                                              bool truncate) {
  wire::CreateRequest request;
  *request.mutable_context() = Context();
  const auto [parent, name] = Split(path);
  request.set_parent(parent);
  request.set_name(name);
  request.set_mode(mode);
  request.set_exclusive(exclusive);
  request.set_truncate(truncate);
  return names_->Mutate(metaserver::Create, request);
}

absl::StatusOr<wire::EntryResponse> NamespaceFixture::Mkdir(const std::string& path,
                                                            uint32_t mode) {
  wire::MkdirRequest request;
  *request.mutable_context() = Context();
  const auto [parent, name] = Split(path);
  request.set_parent(parent);
  request.set_name(name);
  request.set_mode(mode);
  return names_->Mutate(metaserver::Mkdir, request);
}

absl::StatusOr<wire::EntryResponse> NamespaceFixture::Symlink(const std::string& path,
                                                              const std::string& target) {
  wire::SymlinkRequest request;
  *request.mutable_context() = Context();
  const auto [parent, name] = Split(path);
  request.set_parent(parent);
  request.set_name(name);
  request.set_target(target);
  return names_->Mutate(metaserver::Symlink, request);
}

absl::StatusOr<wire::EntryResponse> NamespaceFixture::Link(const std::string& old_path,
                                                           const std::string& path) {
  wire::LinkRequest request;
  *request.mutable_context() = Context();
  const auto [parent, name] = Split(path);
  const uint64_t ino = InoOf(old_path);
  if (ino == 0) return PosixError(ENOENT, "no such file");
  request.set_ino(ino);
  request.set_new_parent(parent);
  request.set_new_name(name);
  return names_->Mutate(metaserver::Link, request);
}

absl::StatusOr<wire::UnlinkResponse> NamespaceFixture::Unlink(const std::string& path,
                                                              uint64_t held) {
  wire::UnlinkRequest request;
  *request.mutable_context() = Context();
  const auto [parent, name] = Split(path);
  request.set_parent(parent);
  request.set_name(name);
  request.set_held_inode(held);
  return names_->Mutate(metaserver::Unlink, request);
}

absl::Status NamespaceFixture::Rmdir(const std::string& path) {
  wire::RmdirRequest request;
  *request.mutable_context() = Context();
  const auto [parent, name] = Split(path);
  request.set_parent(parent);
  request.set_name(name);
  return names_->Mutate(metaserver::Rmdir, request).status();
}

absl::Status NamespaceFixture::Rename(const std::string& from, const std::string& to,
                                      uint32_t flags) {
  wire::RenameRequest request;
  *request.mutable_context() = Context();
  const auto [parent, name] = Split(from);
  const auto [new_parent, new_name] = Split(to);
  request.set_parent(parent);
  request.set_name(name);
  request.set_new_parent(new_parent);
  request.set_new_name(new_name);
  request.set_flags(flags);
  return names_->Mutate(metaserver::Rename, request).status();
}

absl::StatusOr<wire::SetattrResponse> NamespaceFixture::Setattr(wire::SetattrRequest request) {
  *request.mutable_context() = Context();
  return names_->Mutate(metaserver::Setattr, request);
}

absl::StatusOr<wire::SetattrResponse> NamespaceFixture::Truncate(const std::string& path,
                                                                 uint64_t size) {
  wire::SetattrRequest request;
  request.set_ino(InoOf(path));
  request.set_fields(wire::SETATTR_SIZE);
  request.set_size(size);
  return Setattr(request);
}

absl::StatusOr<wire::PublishResponse> NamespaceFixture::PublishInline(const std::string& path,
                                                                      const std::string& data) {
  auto entry = Lookup(path);
  if (!entry.ok()) return entry.status();
  wire::PublishRequest request;
  *request.mutable_context() = Context();
  request.set_ino(entry->attr().ino());
  request.set_set_inline(true);
  request.set_inline_data(data);
  request.set_expected_data_version(entry->attr().data_version());
  return names_->Mutate(metaserver::Publish, request);
}

absl::StatusOr<wire::PublishResponse> NamespaceFixture::PublishChunks(const std::string& path,
                                                                      uint64_t size) {
  auto entry = Lookup(path);
  if (!entry.ok()) return entry.status();
  wire::PublishRequest request;
  *request.mutable_context() = Context();
  request.set_ino(entry->attr().ino());
  request.set_content_id(entry->layout().content_id());
  request.set_size_at_least(size);
  request.set_bytes_changed(true);
  request.set_drop_inline(entry->is_inline());
  request.set_expected_data_version(entry->attr().data_version());
  return names_->Mutate(metaserver::Publish, request);
}

std::vector<std::string> NamespaceFixture::List(uint64_t ino) {
  std::vector<std::string> names;
  wire::ReaddirRequest request;
  request.mutable_context()->set_session_id(session_.value());
  request.set_ino(ino);
  request.set_limit(7);  // several pages
  while (true) {
    auto page = names_->Read(metaserver::Readdir, request);
    REQUIRE(page.ok());
    for (const auto& entry : page->entries()) names.push_back(entry.name());
    if (page->end()) return names;
    request.set_start_after(names.back());
  }
}

void NamespaceFixture::Walk(uint64_t ino, const std::string& prefix, Paths& paths) {
  for (const std::string& name : List(ino)) {
    auto entry = Lookup(prefix + name);
    REQUIRE(entry.ok());
    const bool directory = S_ISDIR(entry->attr().mode());
    paths.push_back(prefix + name + (directory ? "/" : ""));
    if (directory) Walk(entry->attr().ino(), prefix + name + "/", paths);
  }
}

Paths NamespaceFixture::Tree() {
  Paths paths;
  Walk(kRootInode.value(), "/", paths);
  return paths;
}

void NamespaceFixture::Check(uint64_t ino, const std::string& path, std::string& problems) {
  auto self = Getattr(ino);
  REQUIRE(self.ok());
  uint32_t links = 2;
  uint64_t entries = 0;
  for (const std::string& name : List(ino)) {
    ++entries;
    auto entry = Lookup(path + name);
    REQUIRE(entry.ok());
    if (!S_ISDIR(entry->attr().mode())) continue;
    ++links;
    auto parent = Lookup(path + name + "/..");
    if (!parent.ok() || parent->attr().ino() != ino) problems += path + name + ": parent\n";
    Check(entry->attr().ino(), path + name + "/", problems);
  }
  if (self->attr().size() != entries) problems += path + ": number of entries\n";
  if (self->attr().nlink() != links) problems += path + ": links\n";
}

std::string NamespaceFixture::Problems() {
  std::string problems;
  Check(kRootInode.value(), "/", problems);
  return problems;
}

}  // namespace penstock::metaserver

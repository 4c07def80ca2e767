// A Namespace on a real RocksDB in a temporary directory, driven by paths.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "metaserver/log/single_node_log.h"
#include "metaserver/namespace.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/temp_dir.h"

namespace penstock::metaserver {

using Paths = std::vector<std::string>;

class NamespaceFixture {
 public:
  explicit NamespaceFixture(const Paths& paths = {}, NamespaceOptions options = {});
  ~NamespaceFixture();

  Namespace& names() { return *names_; }
  penstock::testing::FakeClock& clock() { return clock_; }
  MetaStore& store() { return *store_; }
  SingleNodeLog& log() { return *log_; }

  // As after a clean stop, or (kill) after kill -9: what RocksDB had given to the operating system.
  void Reopen(bool kill = false);

  // After a start nothing is changed before all sessions are back, or a timeout has passed: it has.
  void WaitForSessions() { clock_.Advance(options_.sessions.timeout + absl::Seconds(1)); }

  SessionId OpenSession(const std::string& hostname = "node1");
  void Report(SessionId session);  // a whole heartbeat with nothing open
  // Of the fixture's own session, with a new sequence each.
  wire::MetaContext Context();
  SessionId session() const { return session_; }
  void set_credentials(uint32_t uid, uint32_t gid);

  absl::StatusOr<wire::Entry> Lookup(const std::string& path);
  uint64_t InoOf(const std::string& path);  // 0 when there is none
  absl::StatusOr<wire::Entry> Getattr(uint64_t ino);
  absl::StatusOr<wire::CreateResponse> Create(const std::string& path, uint32_t mode = 0644,
                                              bool exclusive = true, bool truncate = false);
  absl::StatusOr<wire::EntryResponse> Mkdir(const std::string& path, uint32_t mode = 0755);
  absl::StatusOr<wire::EntryResponse> Symlink(const std::string& path, const std::string& target);
  absl::StatusOr<wire::EntryResponse> Link(const std::string& old_path, const std::string& path);
  absl::StatusOr<wire::UnlinkResponse> Unlink(const std::string& path, uint64_t held = 0);
  absl::Status Rmdir(const std::string& path);
  absl::Status Rename(const std::string& from, const std::string& to, uint32_t flags = 0);
  absl::StatusOr<wire::SetattrResponse> Setattr(wire::SetattrRequest request);
  absl::StatusOr<wire::SetattrResponse> Truncate(const std::string& path, uint64_t size);
  absl::StatusOr<wire::PublishResponse> PublishInline(const std::string& path,
                                                      const std::string& data);
  // As a client that wrote chunks: leaves inline when needed.
  absl::StatusOr<wire::PublishResponse> PublishChunks(const std::string& path, uint64_t size);
  std::vector<std::string> List(uint64_t ino);
  // Every path below the root in order, directories with a slash at the end.
  Paths Tree();
  // Counts and links of every directory agree with its entries. Empty when all is well.
  std::string Problems();

 private:
  void Open();
  void Close();
  std::pair<uint64_t, std::string> Split(const std::string& path);
  void Walk(uint64_t ino, const std::string& prefix, Paths& paths);
  void Check(uint64_t ino, const std::string& path, std::string& problems);

  penstock::testing::TempDir dir_;
  int generation_ = 0;
  penstock::testing::FakeClock clock_;
  NamespaceOptions options_;
  std::unique_ptr<MetaStore> store_;
  std::unique_ptr<SingleNodeLog> log_;
  std::unique_ptr<Namespace> names_;
  SessionId session_;
  uint64_t sequence_ = 0;
  wire::Credentials credentials_;
};

}  // namespace penstock::metaserver

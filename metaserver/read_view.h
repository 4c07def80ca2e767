// ReadView reads records: from one snapshot (verb Read), or the newest state (verb Prepare, under
// locks). Missing inodes are ESTALE, missing names ENOENT, damaged records DATA_LOSS.
#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <rocksdb/db.h>

#include <memory>
#include <string>
#include <string_view>

#include "common/ids.h"
#include "metaserver/store/meta_store.h"
#include "metaserver/store/records.h"
#include "proto/meta.pb.h"

namespace penstock::metaserver {

class SessionTable;

inline constexpr size_t kMaxNameBytes = 255;
inline constexpr size_t kMaxInlineBytes = 4096;
inline constexpr size_t kMaxSymlinkBytes = 4095;

class ReadView {
 public:
  struct Context {
    MetaStore* store = nullptr;
    SessionTable* sessions = nullptr;
    SessionId session;       // who asks
    uint64_t log_index = 0;  // of the state, for replies
  };
  ReadView(Context context, bool with_snapshot);
  ~ReadView();
  ReadView(const ReadView&) = delete;
  ReadView& operator=(const ReadView&) = delete;

  absl::StatusOr<Inode> GetInode(InodeNumber ino) const;
  absl::StatusOr<Inode> GetDirectory(InodeNumber ino) const;  // ENOTDIR, ENOENT when removed
  absl::StatusOr<Dentry> GetDentry(InodeNumber parent, std::string_view name) const;  // ENOENT
  absl::StatusOr<bool> IsEmpty(InodeNumber directory) const;
  absl::StatusOr<DatasetCounters> GetCounters(DatasetId dataset) const;
  // Names in byte order after `after`, until `visit` says false.
  absl::Status VisitNames(
      InodeNumber directory, std::string_view after,
      absl::FunctionRef<absl::StatusOr<bool>(std::string_view name, const Dentry&)> visit) const;
  absl::StatusOr<std::string> GetXattr(InodeNumber ino, std::string_view name) const;  // ENODATA
  absl::Status VisitXattrs(
      InodeNumber ino,
      absl::FunctionRef<void(std::string_view name, std::string_view value)> visit) const;

  // The reply's form of an inode.
  void FillEntry(const Inode& inode, wire::Entry& entry) const;
  const Context& context() const { return context_; }

 private:
  const Context context_;
  rocksdb::ReadOptions options_;
  const rocksdb::Snapshot* snapshot_ = nullptr;
};

absl::Status CheckName(std::string_view name);  // a new or removed name: not "", ".", ".."
void FillLayout(const LayoutRecord& record, wire::Layout& layout);

}  // namespace penstock::metaserver

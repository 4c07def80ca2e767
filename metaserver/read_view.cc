#include "metaserver/read_view.h"

#include <cerrno>

#include "common/status.h"
#include "metaserver/allocated.h"
#include "metaserver/mutation.h"
#include "metaserver/session/session_table.h"
#include "metaserver/store/keys.h"
#include "metaserver/store/rocks_status.h"

namespace penstock::metaserver {
namespace {

std::string_view View(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

void FillTime(const FileTime& from, wire::Time& to) {
  to.set_seconds(from.seconds);
  to.set_nanos(from.nanos);
}

}  // namespace

ReadView::ReadView(Context context, bool with_snapshot) : context_(context) {
  if (!with_snapshot) return;
  snapshot_ = context_.store->db()->GetSnapshot();
  options_.snapshot = snapshot_;
}

ReadView::~ReadView() {
  if (snapshot_ != nullptr) context_.store->db()->ReleaseSnapshot(snapshot_);
}

absl::StatusOr<Inode> ReadView::GetInode(InodeNumber ino) const {
  rocksdb::PinnableSlice value;
  const rocksdb::Status status = context_.store->db()->Get(
      options_, context_.store->family(Family::kInode), InodeKey(ino), &value);
  if (status.IsNotFound()) return PosixError(ESTALE, "no such inode");
  RETURN_IF_ERROR(FromRocks(status, "read an inode"));
  return DecodeInode(ino, View(value));
}

absl::StatusOr<Inode> ReadView::GetDirectory(InodeNumber ino) const {
  ASSIGN_OR_RETURN(Inode inode, GetInode(ino));
  if (!inode.is_directory()) return PosixError(ENOTDIR, "not a directory");
  if (inode.nlink == 0) return PosixError(ENOENT, "the directory was removed");
  return inode;
}

absl::StatusOr<Dentry> ReadView::GetDentry(InodeNumber parent, std::string_view name) const {
  rocksdb::PinnableSlice value;
  const rocksdb::Status status = context_.store->db()->Get(
      options_, context_.store->family(Family::kDentry), DentryKey(parent, name), &value);
  if (status.IsNotFound()) return PosixError(ENOENT, "no such name");
  RETURN_IF_ERROR(FromRocks(status, "read a name"));
  return DecodeDentry(View(value));
}

absl::StatusOr<bool> ReadView::IsEmpty(InodeNumber directory) const {
  bool empty = true;
  RETURN_IF_ERROR(
      VisitNames(directory, "", [&empty](std::string_view, const Dentry&) -> absl::StatusOr<bool> {
        empty = false;
        return false;
      }));
  return empty;
}

absl::StatusOr<DatasetCounters> ReadView::GetCounters(DatasetId dataset) const {
  std::string value;
  const rocksdb::Status status = context_.store->db()->Get(
      options_, context_.store->family(Family::kDataset), CountersKey(dataset), &value);
  if (status.IsNotFound()) return DatasetCounters{};
  RETURN_IF_ERROR(FromRocks(status, "read the dataset's counters"));
  return DecodeCounters(value);
}

absl::Status ReadView::VisitNames(
    InodeNumber directory, std::string_view after,
    absl::FunctionRef<absl::StatusOr<bool>(std::string_view, const Dentry&)> visit) const {
  const std::string prefix = InodeKey(directory);
  const std::string end = InodeKey(InodeNumber(directory.value() + 1));
  const rocksdb::Slice upper(end);
  rocksdb::ReadOptions options = options_;
  options.iterate_upper_bound = &upper;
  std::unique_ptr<rocksdb::Iterator> it(
      context_.store->db()->NewIterator(options, context_.store->family(Family::kDentry)));
  std::string start = DentryKey(directory, after);
  if (!after.empty()) start.push_back('\0');  // the next key in order
  for (it->Seek(start); it->Valid(); it->Next()) {
    std::string_view name = View(it->key());
    name.remove_prefix(kDentryPrefixBytes);
    ASSIGN_OR_RETURN(const Dentry dentry, DecodeDentry(View(it->value())));
    ASSIGN_OR_RETURN(const bool more, visit(name, dentry));
    if (!more) return absl::OkStatus();
  }
  return FromRocks(it->status(), "list a directory");
}

absl::StatusOr<std::string> ReadView::GetXattr(InodeNumber ino, std::string_view name) const {
  std::string value;
  const rocksdb::Status status = context_.store->db()->Get(
      options_, context_.store->family(Family::kXattr), XattrKey(ino, name), &value);
  if (status.IsNotFound()) return PosixError(ENODATA, "no such attribute");
  RETURN_IF_ERROR(FromRocks(status, "read an attribute"));
  return value;
}

absl::Status ReadView::VisitXattrs(
    InodeNumber ino, absl::FunctionRef<void(std::string_view, std::string_view)> visit) const {
  const std::string end = InodeKey(InodeNumber(ino.value() + 1));
  const rocksdb::Slice upper(end);
  rocksdb::ReadOptions options = options_;
  options.iterate_upper_bound = &upper;
  std::unique_ptr<rocksdb::Iterator> it(
      context_.store->db()->NewIterator(options, context_.store->family(Family::kXattr)));
  for (it->Seek(InodeKey(ino)); it->Valid(); it->Next()) {
    std::string_view name = View(it->key());
    name.remove_prefix(kXattrPrefixBytes);
    visit(name, View(it->value()));
  }
  return FromRocks(it->status(), "list attributes");
}

void ReadView::FillEntry(const Inode& inode, wire::Entry& entry) const {
  wire::Attr& attr = *entry.mutable_attr();
  attr.set_ino(inode.ino.value());
  attr.set_mode(inode.mode);
  attr.set_nlink(inode.nlink);
  attr.set_uid(inode.uid);
  attr.set_gid(inode.gid);
  attr.set_rdev(inode.rdev);
  attr.set_size(inode.size);
  attr.set_blocks(BlocksOf(inode));
  FillTime(inode.atime, *attr.mutable_atime());
  FillTime(inode.mtime, *attr.mutable_mtime());
  FillTime(inode.ctime, *attr.mutable_ctime());
  FillTime(inode.btime, *attr.mutable_btime());
  attr.set_data_version(inode.data_version);
  attr.set_change(inode.change);
  entry.set_has_acl(inode.has_acl);
  entry.set_log_index(context_.log_index);
  entry.set_leased_by(CoverOf(inode).value());  // Namespace takes it back where it is not granted
  if (inode.is_symlink()) entry.set_symlink_target(inode.data);
  if (!inode.is_regular()) return;
  FillLayout(inode.layout, *entry.mutable_layout());
  entry.set_is_inline(inode.is_inline);
  if (inode.is_inline) entry.set_inline_data(inode.data);
  entry.set_truncating(inode.truncate.id != 0);
  const SessionTable::Use use = context_.sessions->UseOf(inode.ino, context_.session);
  entry.set_other_writers(use.other_writers);
  entry.set_shared(use.shared());
}

absl::Status CheckName(std::string_view name) {
  if (name.size() > kMaxNameBytes) return PosixError(ENAMETOOLONG, "name longer than 255 bytes");
  if (name.empty()) return PosixError(ENOENT, "empty name");
  if (name == "." || name == "..") return PosixError(EINVAL, "'.' and '..' cannot change");
  if (name.find('/') != name.npos || name.find('\0') != name.npos) {
    return PosixError(EINVAL, "a name holds no slash and no zero byte");
  }
  return absl::OkStatus();
}

void FillLayout(const LayoutRecord& record, wire::Layout& layout) {
  layout.set_content_id(record.layout.content.value());
  layout.set_seed(record.layout.seed);
  layout.set_chunk_size_log2(record.layout.chunk_size_log2);
  layout.set_storage_class(record.layout.storage_class);
  layout.set_base_content_id(record.base_content.value());
  layout.set_base_seed(record.base_seed);
  layout.set_base_length(record.base_length);
}

}  // namespace penstock::metaserver

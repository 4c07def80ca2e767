#include "metaserver/namespace.h"

#include <absl/strings/str_split.h>

#include <cerrno>

#include "common/status.h"
#include "metaserver/store/keys.h"

namespace penstock::metaserver {
namespace {

constexpr uint64_t kFirstLocalInode = 2;  // 1 is the dataset's root

IdBlocks::Options InodeIds() {
  IdBlocks::Options options;
  options.family = Family::kDataset;
  options.key = NextInodeKey(kRootDataset);
  options.first = kFirstLocalInode;
  options.limit = uint64_t{1} << InodeNumber::kLocalBits;
  return options;
}

IdBlocks::Options ContentIds() {
  IdBlocks::Options options;
  options.key = std::string(kNextContentKey);
  return options;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Namespace>> Namespace::Open(NamespaceOptions options,
                                                           MetaStore* store, ReplicatedLog* log,
                                                           Clock* clock) {
  std::unique_ptr<Namespace> names(new Namespace(options, store, log, clock));
  RETURN_IF_ERROR(Annotate(names->Bootstrap(), "open the root dataset"));
  ASSIGN_OR_RETURN(names->sessions_, SessionTable::Open(options.sessions, store, log, clock));
  Namespace* const self = names.get();
  names->sessions_->SetEndEvents(
      {.ended = [self](SessionId session) { self->OnSessionEnded(session); },
       .fenced =
           [self](SessionId session, const std::vector<InodeNumber>& written) {
             return self->TrimAfter(session, written);
           },
       .gone =
           [self](SessionId session) {
             self->events_.Gone(session);
             self->shared_writes_.Gone(session);
           }});
  for (SessionId session : names->sessions_->Live()) names->events_.Enter(session);
  return names;
}

Namespace::Namespace(NamespaceOptions options, MetaStore* store, ReplicatedLog* log, Clock* clock)
    : options_(options),
      store_(store),
      log_(log),
      clock_(clock),
      inode_ids_(InodeIds(), store, log),
      content_ids_(ContentIds(), store, log),
      leases_(options.leases, clock),
      data_changes_(clock),
      events_(clock) {}

Namespace::~Namespace() = default;

absl::Status Namespace::Bootstrap() {
  auto record = store_->Get(Family::kDataset, DatasetKey(kRootDataset));
  if (record.ok()) {
    ASSIGN_OR_RETURN(dataset_, DecodeDataset(kRootDataset, *record));
    return absl::OkStatus();
  }
  if (!absl::IsNotFound(record.status())) return record.status();
  const FileTime now = ToFileTime(clock_->Now());
  dataset_.id = kRootDataset;
  dataset_.name = "root";
  dataset_.chunk_size_log2 = options_.chunk_size_log2;
  dataset_.storage_class = options_.storage_class;
  dataset_.created = now;
  Inode root;
  root.ino = kRootInode;
  root.mode = S_IFDIR | 0755;
  root.nlink = 2;
  root.atime = root.mtime = root.ctime = root.btime = now;
  root.parent_local = kRootInode.local();
  root.data_version = root.change = 1;
  rocksdb::WriteBatch batch;
  batch.Put(store_->family(Family::kDataset), DatasetKey(kRootDataset), EncodeDataset(dataset_));
  batch.Put(store_->family(Family::kDataset), CountersKey(kRootDataset), EncodeCounters({1, 0}));
  batch.Put(store_->family(Family::kInode), InodeKey(kRootInode), EncodeInode(root));
  return log_->Commit(std::move(batch), Durability::kSynced).status();
}

absl::Status Namespace::ReadUnchecked(const wire::MetaContext& context,
                                      absl::FunctionRef<absl::Status(const ReadView&)> operation) {
  // The index is taken before the snapshot, so the state shown is never older than it says.
  const ReadView view(
      {store_, sessions_.get(), SessionId(context.session_id()), log_->last_index()},
      /*with_snapshot=*/true);
  return operation(view);
}

absl::StatusOr<wire::Entry> Namespace::EntryOf(InodeNumber ino) {
  wire::Entry entry;
  RETURN_IF_ERROR(ReadUnchecked({}, [&](const ReadView& view) -> absl::Status {
    ASSIGN_OR_RETURN(const Inode inode, view.GetInode(ino));
    view.FillEntry(inode, entry);
    return absl::OkStatus();
  }));
  return entry;
}

absl::StatusOr<wire::Entry> Namespace::ResolvePath(std::string_view path) {
  wire::Entry entry;
  RETURN_IF_ERROR(ReadUnchecked({}, [&](const ReadView& view) -> absl::Status {
    ASSIGN_OR_RETURN(Inode inode, view.GetInode(kRootInode));
    const std::vector<std::string> parts =
        absl::StrSplit(std::string(path), '/', absl::SkipEmpty());
    for (const std::string& name : parts) {
      if (!inode.is_directory()) return PosixError(ENOTDIR, name + ": not below a directory");
      if (name == ".") continue;
      InodeNumber next = inode.parent();
      if (name != "..") {
        if (name.size() > kMaxNameBytes) return PosixError(ENAMETOOLONG, "a name is too long");
        ASSIGN_OR_RETURN(const Dentry dentry, view.GetDentry(inode.ino, name));
        next = InodeNumber(inode.ino.dataset(), dentry.local);
      }
      ASSIGN_OR_RETURN(inode, view.GetInode(next));
    }
    view.FillEntry(inode, entry);
    return absl::OkStatus();
  }));
  return entry;
}

absl::StatusOr<DatasetCounters> Namespace::Counters(DatasetId dataset) {
  DatasetCounters counters;
  RETURN_IF_ERROR(ReadUnchecked({}, [&](const ReadView& view) -> absl::Status {
    ASSIGN_OR_RETURN(counters, view.GetCounters(dataset));
    return absl::OkStatus();
  }));
  return counters;
}

}  // namespace penstock::metaserver

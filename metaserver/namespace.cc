#include "metaserver/namespace.h"

#include <absl/strings/str_split.h>
#include <google/protobuf/descriptor.h>

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

// Every reply with an entry carries the log index of the state it shows.
void StampEntry(google::protobuf::Message& response, const char* field, uint64_t log_index) {
  const auto* descriptor = response.GetDescriptor()->FindFieldByName(field);
  if (descriptor == nullptr) return;
  if (!response.GetReflection()->HasField(response, descriptor)) return;
  auto* entry = response.GetReflection()->MutableMessage(&response, descriptor);
  if (auto* typed = dynamic_cast<wire::Entry*>(entry)) typed->set_log_index(log_index);
}

void Stamp(google::protobuf::Message& response, uint64_t log_index) {
  for (const char* field : {"entry", "removed", "moved", "replaced"}) {
    StampEntry(response, field, log_index);
  }
  if (auto* empty = dynamic_cast<wire::EmptyResponse*>(&response)) empty->set_log_index(log_index);
}

// What a repeat gets. The inline content of a publish is in the inode record of the same batch: it
// is not written twice (Replay reads it from there).
std::string RecordOf(google::protobuf::Message& response) {
  auto* publish = dynamic_cast<wire::PublishResponse*>(&response);
  if (publish == nullptr) return response.SerializeAsString();
  std::string data;
  data.swap(*publish->mutable_entry()->mutable_inline_data());
  std::string record = publish->SerializeAsString();
  data.swap(*publish->mutable_entry()->mutable_inline_data());
  return record;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Namespace>> Namespace::Open(NamespaceOptions options,
                                                           MetaStore* store, ReplicatedLog* log,
                                                           Clock* clock) {
  std::unique_ptr<Namespace> names(new Namespace(options, store, log, clock));
  RETURN_IF_ERROR(Annotate(names->Bootstrap(), "open the root dataset"));
  ASSIGN_OR_RETURN(names->sessions_, SessionTable::Open(options.sessions, store, log, clock));
  return names;
}

Namespace::Namespace(NamespaceOptions options, MetaStore* store, ReplicatedLog* log, Clock* clock)
    : options_(options),
      store_(store),
      log_(log),
      clock_(clock),
      inode_ids_(InodeIds(), store, log),
      content_ids_(ContentIds(), store, log) {}

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

absl::Status Namespace::RunMutation(const wire::MetaContext& context,
                                    absl::FunctionRef<absl::Status(Mutation&)> prepare,
                                    google::protobuf::Message* response, bool& recorded) {
  Mutation mutation({{store_, sessions_.get(), SessionId(context.session_id()), log_->last_index()},
                     &locks_,
                     &inode_ids_,
                     &content_ids_,
                     &dataset_,
                     options_.max_links,
                     clock_->Now(),
                     context.credentials()});
  RETURN_IF_ERROR(prepare(mutation));
  mutation.Finish();
  uint64_t index = log_->last_index();
  if (!mutation.empty()) {
    if (context.sequence() != 0 && response != nullptr) {
      mutation.Put(Family::kSession, SlotKey(SessionId(context.session_id()), context.slot()),
                   EncodeSlotResult({context.sequence(), RecordOf(*response)}));
      recorded = true;
    }
    auto committed = log_->Commit(std::move(mutation.batch()), Durability::kProcess);
    if (!committed.ok()) {
      recorded = false;
      return committed.status();
    }
    index = *committed;
  }
  mutation.RunOnApplied();
  mutation.locks().Release();
  if (mutation.sync()) RETURN_IF_ERROR(log_->Sync());
  if (response != nullptr) Stamp(*response, index);
  return absl::OkStatus();
}

absl::Status Namespace::MutateUntyped(const wire::MetaContext& context,
                                      absl::FunctionRef<absl::Status(Mutation&)> prepare,
                                      google::protobuf::Message& response) {
  ASSIGN_OR_RETURN(const std::optional<std::string> first, sessions_->BeginMutation(context));
  if (first.has_value()) return Replay(context, *first, response);
  bool recorded = false;
  const absl::Status status = RunMutation(context, prepare, &response, recorded);
  sessions_->EndMutation(context, status, recorded);
  return status;
}

absl::Status Namespace::Replay(const wire::MetaContext& context, const std::string& recorded,
                               google::protobuf::Message& response) {
  if (!response.ParseFromString(recorded)) {
    return PosixError(EINVAL, "the slot's last request was of another kind");
  }
  // The first try may have been meant to be synced.
  RETURN_IF_ERROR(log_->Sync());
  if (auto* publish = dynamic_cast<wire::PublishResponse*>(&response)) {
    const wire::Entry& entry = publish->entry();
    if (entry.is_inline() && entry.inline_data().size() != entry.attr().size()) {
      RETURN_IF_ERROR(ReadUnchecked(context, [&](const ReadView& view) -> absl::Status {
        ASSIGN_OR_RETURN(const Inode inode, view.GetInode(InodeNumber(entry.attr().ino())));
        publish->clear_entry();
        view.FillEntry(inode, *publish->mutable_entry());
        return absl::OkStatus();
      }));
    }
  }
  Stamp(response, log_->last_index());
  return absl::OkStatus();
}

absl::Status Namespace::MutateInternally(absl::FunctionRef<absl::Status(Mutation&)> operation) {
  bool recorded = false;
  return RunMutation(wire::MetaContext(), operation, nullptr, recorded);
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

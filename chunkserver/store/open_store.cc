// Making and opening a target: what stands in its directory, and the order in which the parts
// start.
#include <spdlog/spdlog.h>

#include "chunkserver/store/rebuild_index.h"
#include "chunkserver/store/recovery.h"
#include "chunkserver/store/slab_chunk_store.h"
#include "common/logging.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

std::string SlabDir(const std::string& dir) { return dir + "/slabs"; }
std::string IndexDir(const std::string& dir) { return dir + "/index"; }

absl::Status Absent(const std::string& why) {
  return WithReason(absl::FailedPreconditionError("target is absent: " + why),
                    Reason::kAbsentTarget);
}

absl::StatusOr<TargetIdentity> ReadOwnIdentity(const ChunkStoreOptions& options, FileSystem* fs) {
  ASSIGN_OR_RETURN(TargetIdentity identity, ChunkStore::ReadIdentity(options.dir, fs));
  if (identity.cluster_id != options.cluster_id) {
    return Absent(options.dir + " belongs to cluster " + identity.cluster_id);
  }
  return identity;
}

}  // namespace

absl::Status ChunkStore::Format(const std::string& dir, const TargetIdentity& identity,
                                FileSystem* fs) {
  return SlabChunkStore::Format(dir, identity, StoreSeams{fs, SystemClock()});
}

absl::StatusOr<std::unique_ptr<ChunkStore>> ChunkStore::Open(ChunkStoreOptions options,
                                                             const std::string& boot_id,
                                                             FileSystem* fs, Clock* clock) {
  return SlabChunkStore::Open(std::move(options), boot_id, StoreSeams{fs, clock});
}

absl::Status SlabChunkStore::Format(const std::string& dir, const TargetIdentity& identity,
                                    const StoreSeams& seams) {
  RETURN_IF_ERROR(seams.fs->MakeDirectory(dir));
  ASSIGN_OR_RETURN(std::vector<std::string> names, seams.fs->List(dir));
  std::erase(names, "lost+found");  // of a fresh file system's root
  if (!names.empty()) {
    return absl::FailedPreconditionError("cannot format " + dir + ": it is not empty");
  }
  RETURN_IF_ERROR(seams.fs->MakeDirectory(SlabDir(dir)));
  RETURN_IF_ERROR(ChunkIndex::Create(IndexDir(dir), seams.index_env));
  RETURN_IF_ERROR(seams.fs->SyncDirectory(dir));
  RETURN_IF_ERROR(DoubtfulContents::Create(dir, seams.fs));
  // Last: a directory with an identity is a whole target.
  return WriteIdentity(dir, identity, seams.fs);
}

absl::StatusOr<std::unique_ptr<SlabChunkStore>> SlabChunkStore::OpenOnce(
    const ChunkStoreOptions& options, const std::string& boot_id, const StoreSeams& seams) {
  ASSIGN_OR_RETURN(TargetIdentity identity, ReadOwnIdentity(options, seams.fs));
  ASSIGN_OR_RETURN(std::unique_ptr<DoubtfulContents> contents,
                   DoubtfulContents::Load(options.dir, seams.fs, seams.clock));
  const auto before_cut = [&]() -> absl::Status {
    RETURN_IF_ERROR(contents->NoteLogCut());
    return options.before_loss ? options.before_loss() : absl::OkStatus();
  };
  // Its lock file also keeps a second process away.
  absl::StatusOr<std::unique_ptr<ChunkIndex>> index = ChunkIndex::Open(
      IndexDir(options.dir), options.index_cache_bytes, seams.index_env, before_cut);
  if (absl::IsNotFound(index.status())) return Absent(options.dir + " has no chunk index");
  RETURN_IF_ERROR(index.status());
  std::unique_ptr<SlabChunkStore> store(new SlabChunkStore(
      options, std::move(identity), seams, std::move(index).value(), std::move(contents)));
  RETURN_IF_ERROR(Annotate(store->Start(boot_id), "open " + store->label()));
  if (!options.check_index) return store;
  ASSIGN_OR_RETURN(const IndexReport report, store->CheckIndex());
  if (!report.damage.empty()) return absl::DataLossError(report.damage.front());
  return store;
}

absl::StatusOr<std::unique_ptr<SlabChunkStore>> SlabChunkStore::Open(ChunkStoreOptions options,
                                                                     const std::string& boot_id,
                                                                     const StoreSeams& seams) {
  if (SlotBytesFor(options.max_chunk_bytes) > options.slab_bytes) {
    return absl::InvalidArgumentError("slab_bytes is smaller than the largest chunk");
  }
  RETURN_IF_ERROR(ReadOwnIdentity(options, seams.fs).status());
  ASSIGN_OR_RETURN(const bool finished, FinishRebuild(options.dir, seams.fs, seams.index_env));
  absl::StatusOr<std::unique_ptr<SlabChunkStore>> store = OpenOnce(options, boot_id, seams);
  if (store.ok() && finished) (*store)->lost_changes_ = true;
  if (!absl::IsDataLoss(store.status())) return store;
  SPDLOG_ERROR("chunk index damaged, making it anew dir={} error={}",
               options.label.empty() ? options.dir : options.label,
               Quoted(store.status().ToString()));
  if (options.before_loss) RETURN_IF_ERROR(options.before_loss());
  ASSIGN_OR_RETURN(const std::unique_ptr<DoubtfulContents> contents,
                   DoubtfulContents::Load(options.dir, seams.fs, seams.clock));
  const DoubtfulContents::State before = contents->state();
  RETURN_IF_ERROR(contents->Doubt());
  ASSIGN_OR_RETURN(const RebuiltIndex rebuilt,
                   RebuildIndex(options.dir, options.slab_bytes, seams.fs, seams.index_env));
  if (rebuilt.whole()) RETURN_IF_ERROR(contents->Restore(before));
  store = OpenOnce(options, boot_id, seams);
  RETURN_IF_ERROR(Annotate(store.status(), "with an index made anew"));
  (*store)->lost_changes_ = true;
  SPDLOG_WARN("chunk index made anew dir={} records={} dropped={} gaps={} repaired={}",
              (*store)->label(), rebuilt.records, rebuilt.dropped, rebuilt.gaps, rebuilt.repaired);
  return store;
}

SlabChunkStore::SlabChunkStore(ChunkStoreOptions options, TargetIdentity identity,
                               const StoreSeams& seams, std::unique_ptr<ChunkIndex> index,
                               std::unique_ptr<DoubtfulContents> contents)
    : options_(std::move(options)),
      identity_(std::move(identity)),
      fs_(seams.fs),
      clock_(seams.clock),
      index_(std::move(index)),
      contents_(std::move(contents)),
      slabs_(SlabDir(options_.dir), options_.slab_bytes, seams.fs),
      slots_(options_.slab_bytes),
      reader_(&slabs_, index_.get()),
      reserve_bytes_(options_.reserve_bytes) {}

SlabChunkStore::~SlabChunkStore() {
  if (barrier_) barrier_->Stop();
}

absl::Status SlabChunkStore::Start(const std::string& boot_id) {
  ASSIGN_OR_RETURN(StoreState state, index_->GetState());
  ASSIGN_OR_RETURN(uint64_t used_sequences, index_->GetSequence());
  const bool new_boot = state.boot_id != boot_id;
  // The operating system still has all that it was given: a log that ends too early is damaged.
  const bool log_cut = index_->log_cut() || contents_->log_cut();
  lost_changes_ = log_cut && !new_boot;
  // Before a barrier under the new boot id, which would hide that it is one.
  if (log_cut) RETURN_IF_ERROR(contents_->SettleLogCut(/*expected=*/new_boot));
  Recovery recovery({index_.get(), &slabs_, &slots_, &reader_}, state, new_boot);
  ASSIGN_OR_RETURN(Recovered recovered, recovery.Run());

  journal_ = std::make_unique<IntervalJournal>(index_.get(), recovered.next_interval, state);
  journal_->AddUnfinished(std::move(recovered.unfinished));
  int64_t damaged = 0;
  RETURN_IF_ERROR(index_->VisitDamaged(std::nullopt, [&](const ChunkKey&) -> absl::StatusOr<bool> {
    ++damaged;
    return true;
  }));
  journal_->SetDamaged(damaged);
  writer_ = std::make_unique<ImageWriter>(
      ImageWriter::Parts{&slabs_, &slots_, index_.get(), &reader_}, recovered.next_patch);
  deferred_ = std::make_unique<DeferredWrites>(
      DeferredWrites::Parts{index_.get(), journal_.get(), &slabs_, &locks_});
  for (const ChunkKey& key : recovered.patched) deferred_->Added(key);
  sequences_ = std::make_unique<SequenceSource>(index_.get(), used_sequences);
  state.boot_id = boot_id;
  barrier_ = std::make_unique<chunkserver::Barrier>(
      chunkserver::Barrier::Parts{index_.get(), journal_.get(), &slabs_, &slots_, deferred_.get(),
                                  clock_, &times_.barrier},
      options_.barrier_every, std::move(state));
  if (new_boot) {
    // What was decided is durable, under the new boot id, before anything builds on it.
    RETURN_IF_ERROR(Annotate(barrier_->RunFirst(), "first barrier"));
    SPDLOG_INFO("target checked after reboot dir={} checked={} restored={}", label(),
                recovered.checked, recovered.restored);
  }
  barrier_->Start();
  return absl::OkStatus();
}

}  // namespace penstock::chunkserver

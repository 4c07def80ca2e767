#include "chunkserver/targets.h"

#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "common/logging.h"
#include "common/program.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

// What stands at a target's path.
struct Found {
  bool empty = false;  // missing, or a directory without entries
  absl::StatusOr<TargetIdentity> identity = absl::NotFoundError("no identity");
};

Found Inspect(const std::string& path, FileSystem* fs) {
  Found found;
  auto exists = fs->Exists(path);
  auto entries = exists.ok() && *exists
                     ? fs->List(path)
                     : absl::StatusOr<std::vector<std::string>>(std::vector<std::string>{});
  if (entries.ok()) {
    // A fresh file system brings its lost+found.
    entries->erase(std::remove(entries->begin(), entries->end(), "lost+found"), entries->end());
  }
  found.empty = exists.ok() && entries.ok() && entries->empty();
  if (!found.empty) found.identity = ChunkStore::ReadIdentity(path, fs);
  return found;
}

// Empty: it may be opened. Else why it is absent.
std::string ProblemOf(const Found& found, const KnownTarget& known, const std::string& cluster_id) {
  if (found.empty) return "its directory is missing or empty, but it is no new target";
  if (!found.identity.ok()) return absl::StrCat("no identity: ", found.identity.status().message());
  if (found.identity->cluster_id != cluster_id) {
    return absl::StrCat("it belongs to cluster ", found.identity->cluster_id);
  }
  if (found.identity->target_uuid != known.uuid) {
    return absl::StrCat("another target (", found.identity->target_uuid, ") stands in its place");
  }
  return "";
}

// Formats a new target or adopts one of this cluster, and adds it to `identity`.
absl::Status Introduce(const std::string& path, const Found& found, ServerIdentity* identity,
                       FileSystem* fs) {
  KnownTarget known{path, "", TargetId(), false};
  if (found.empty) {
    TargetIdentity fresh{identity->cluster_id, NewUuid(), TargetId()};
    RETURN_IF_ERROR(Annotate(ChunkStore::Format(path, fresh, fs), "format target"));
    SPDLOG_INFO("target formatted path={} uuid={}", path, fresh.target_uuid);
    known.uuid = fresh.target_uuid;
  } else {
    if (!found.identity.ok()) {
      return WithReason(
          absl::FailedPreconditionError(absl::StrCat(
              path, " is neither empty nor a target: ", found.identity.status().message())),
          Reason::kAbsentTarget);
    }
    if (found.identity->cluster_id != identity->cluster_id) {
      return WithReason(absl::FailedPreconditionError(
                            absl::StrCat(path, " belongs to cluster ", found.identity->cluster_id)),
                        Reason::kWrongCluster);
    }
    known.uuid = found.identity->target_uuid;
    known.id = found.identity->target_id;
    SPDLOG_INFO("target adopted path={} uuid={} target={}", path, known.uuid, known.id.value());
  }
  identity->targets.push_back(known);
  return absl::OkStatus();
}

// The store keeps working on this very directory when another is put in its place: it would write
// into a stranger's files else. Only real files have descriptors.
std::string HoldDirectory(Target& target, FileSystem* fs) {
  if (fs != PosixFileSystem()) return target.path;
  target.directory_fd = open(target.path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (target.directory_fd < 0) return target.path;
  const std::string held = absl::StrCat("/proc/self/fd/", target.directory_fd);
  const auto exists = fs->Exists(held);
  return exists.ok() && *exists ? held : target.path;
}

// What the opening of several targets shares. Of `identity` each opener changes its own entry,
// under the lock.
struct Opening {
  const ChunkserverOptions& options;
  const std::string& boot_id;
  FileSystem* const fs;
  Clock* const clock;
  absl::Mutex mu;
  ServerIdentity* const identity;
};

std::unique_ptr<Target> OpenOne(Opening& opening, KnownTarget& known) {
  const auto& [options, boot_id, fs, clock, mu, identity] = opening;
  const std::string& cluster_id = identity->cluster_id;
  auto target = std::make_unique<Target>(clock);
  target->path = known.path;
  target->uuid = known.uuid;
  target->cluster_id = cluster_id;
  target->id = known.id.value();
  target->lost_changes = known.lost_changes;
  target->problem = ProblemOf(Inspect(known.path, fs), known, cluster_id);
  if (target->problem.empty()) {
    ChunkStoreOptions store_options;
    target->dir = HoldDirectory(*target, fs);
    store_options.dir = target->dir;
    store_options.label = known.path;
    store_options.check_index = known.lost_changes;
    // Known until the metaserver has heard of it, whenever this process ends.
    store_options.before_loss = [&opening, &known]() -> absl::Status {
      absl::MutexLock lock(&opening.mu);
      known.lost_changes = true;
      return SaveIdentity(opening.options.dir, *opening.identity, opening.fs);
    };
    store_options.cluster_id = cluster_id;
    store_options.reserve_bytes = options.reserve_bytes;
    store_options.index_cache_bytes = options.index_cache_bytes;
    auto store = ChunkStore::Open(store_options, boot_id, fs, clock);
    if (store.ok()) {
      target->store = *std::move(store);
      if (target->store->lost_changes()) target->lost_changes = true;
    } else {
      target->problem = absl::StrCat("cannot be opened: ", store.status().message());
    }
  }
  if (!target->is_open()) {
    SPDLOG_ERROR("target absent path={} problem={}", known.path, Quoted(target->problem));
  }
  target->readers = std::make_unique<WorkerPool>(
      WorkerPoolOptions{.name = "disk-read", .threads = options.read_threads, .queue_limit = 1024});
  target->readers->Start();
  return target;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Targets>> Targets::Open(const ChunkserverOptions& options,
                                                       const std::string& boot_id,
                                                       ServerIdentity* identity, FileSystem* fs,
                                                       Clock* clock) {
  for (const std::string& path : options.targets) {
    if (identity->FindPath(path) != nullptr) continue;
    RETURN_IF_ERROR(Introduce(path, Inspect(path, fs), identity, fs));
    // Only now: a crash in between leaves a target of this cluster that will be adopted.
    RETURN_IF_ERROR(SaveIdentity(options.dir, *identity, fs));
  }
  // Side by side: each waits for a disk of its own.
  Opening opening{options, boot_id, fs, clock, {}, identity};
  std::vector<std::unique_ptr<Target>> all(options.targets.size());
  std::vector<std::thread> openers;
  for (size_t i = 0; i < all.size(); ++i) {
    KnownTarget* const known = identity->FindPath(options.targets[i]);
    openers.emplace_back([&opening, known, into = &all[i]] { *into = OpenOne(opening, *known); });
  }
  for (std::thread& opener : openers) opener.join();
  for (const KnownTarget& known : identity->targets) {
    if (std::find(options.targets.begin(), options.targets.end(), known.path) ==
        options.targets.end()) {
      SPDLOG_WARN("target known but not among the settings path={}", known.path);
    }
  }
  return std::make_unique<Targets>(std::move(all));
}

Target::~Target() {
  readers.reset();  // they may read from the store
  store.reset();
  if (directory_fd >= 0) close(directory_fd);
}

absl::StatusOr<std::string> PlaceProblem(const Target& target, FileSystem* fs) {
  const Found found = Inspect(target.path, fs);
  if (!found.empty && !found.identity.ok() &&
      ReasonOf(found.identity.status()) != Reason::kAbsentTarget) {
    return found.identity.status();
  }
  if (found.empty) return absl::StrCat("its directory ", target.path, " is missing or empty");
  return ProblemOf(found, {target.path, target.uuid, target.target_id(), false}, target.cluster_id);
}

Targets::~Targets() { Close(); }

Target* Targets::Find(TargetId id) const {
  if (!id.valid()) return nullptr;
  for (const auto& target : all_) {
    if (target->target_id() == id) return target.get();
  }
  return nullptr;
}

absl::Status Targets::AssignIds(const std::vector<TargetId>& ids, FileSystem* fs) {
  if (ids.size() != all_.size()) return absl::InternalError("as many ids as targets are needed");
  for (size_t i = 0; i < ids.size(); ++i) {
    Target& target = *all_[i];
    if (!ids[i].valid()) {
      target.removed.store(true, std::memory_order_release);
      continue;
    }
    // The metaserver may have been restored from a backup that is older than the removal.
    target.removed.store(false, std::memory_order_release);
    if (target.target_id() == ids[i]) continue;
    if (target.target_id().valid()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "target ", target.path, " is number ", target.id.load(), ", not ", ids[i].value()));
    }
    if (target.is_open()) {
      TargetIdentity identity = target.store->identity();
      identity.target_id = ids[i];
      RETURN_IF_ERROR(ChunkStore::WriteIdentity(target.dir, identity, fs));
    }
    target.id.store(ids[i].value(), std::memory_order_release);
  }
  return absl::OkStatus();
}

void Targets::Close() {
  for (const auto& target : all_) {
    if (target->readers) target->readers->Stop();
    if (!target->store) continue;
    if (absl::Status status = target->store->Barrier(); !status.ok()) {
      SPDLOG_ERROR("target not synced at close path={} error={}", target->path,
                   Quoted(status.ToString()));
    }
    target->store.reset();
  }
}

}  // namespace penstock::chunkserver

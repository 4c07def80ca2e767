#include "metaserver/cluster/cluster_state.h"

#include <absl/strings/str_cat.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/logging.h"
#include "common/program.h"
#include "common/status.h"
#include "metaserver/cluster/cluster_records.h"
#include "metaserver/cluster/order_targets.h"

namespace penstock::metaserver {
namespace {

constexpr absl::Duration kTickEvery = absl::Milliseconds(200);
constexpr absl::Duration kExpireFencesEvery = absl::Hours(1);

}  // namespace

ClusterState::ClusterState(const ClusterOptions& options, const Sources& sources)
    : options_(options),
      sources_(sources),
      started_(sources.clock->SinceBoot()),
      events_(sources.events != nullptr ? sources.events : &no_events_) {}

ClusterState::~ClusterState() { Stop(); }

absl::StatusOr<std::unique_ptr<ClusterState>> ClusterState::Open(const ClusterOptions& options,
                                                                 const Sources& sources) {
  if (options.group_count == 0 || (options.group_count & (options.group_count - 1)) != 0) {
    return absl::InvalidArgumentError("the number of groups must be a power of two");
  }
  if (options.replication == 0 || options.replication > 16) {
    return absl::InvalidArgumentError("replication must be 1 to 16");
  }
  auto state = std::unique_ptr<ClusterState>(new ClusterState(options, sources));
  ASSIGN_OR_RETURN(ClusterRecords records, LoadClusterRecords(*sources.store));
  if (records.found && !options.cluster_id.empty() &&
      records.cluster.cluster_id() != options.cluster_id) {
    return WithReason(absl::FailedPreconditionError(absl::StrCat(
                          "this directory belongs to cluster ", records.cluster.cluster_id(),
                          ", not to ", options.cluster_id)),
                      Reason::kWrongCluster);
  }
  if (records.found) {
    RETURN_IF_ERROR(state->Load(records));
  } else {
    RETURN_IF_ERROR(state->Create());
  }
  return state;
}

void ClusterState::MakeParts(const ClusterRecords& records) {
  publisher_ = std::make_unique<MapPublisher>(cluster_id_, sources_.clock);
  orders_ = std::make_unique<OrderQueue>(
      [this](const wire::Order& order) { return TargetsOfOrder(order); }, sources_.first_order_id,
      sources_.clock);
  fences_ =
      std::make_unique<FenceBoard>(FenceBoard::Sources{sources_.store, sources_.log, sources_.clock,
                                                       [this] { return LowestConfirmedFence(); }},
                                   records.fences);
  ClusterSettings defaults;
  defaults.offline_after = options_.offline_after;
  defaults.repair_after = options_.repair_after;
  settings_ = std::make_unique<SettingStore>(
      defaults, records.settings,
      SettingStore::Sources{sources_.store, sources_.log, sources_.clock});
}

absl::Status ClusterState::Create() {
  created_ = true;
  cluster_id_ = options_.cluster_id.empty() ? NewUuid() : options_.cluster_id;
  MakeParts(ClusterRecords());
  Change change;
  record::StorageClass& standard = change.classes.emplace_back();
  standard.mutable_storage_class()->set_storage_class(kDefaultStorageClass);
  standard.mutable_storage_class()->set_name("default");
  standard.mutable_storage_class()->set_replication(options_.replication);
  standard.set_placement_seed(options_.placement_seed);
  {
    absl::MutexLock lock(&mu_);
    cluster_.set_format(kClusterRecordFormat);
    cluster_.set_cluster_id(cluster_id_);
    cluster_.set_created_s(absl::ToUnixSeconds(sources_.clock->Now()));
  }
  ChangeTurn::Hold turn(&turn_);
  return Annotate(Commit(std::move(change)), "store a new cluster");
}

absl::Status ClusterState::Load(const ClusterRecords& records) {
  cluster_id_ = records.cluster.cluster_id();
  MakeParts(records);
  absl::MutexLock lock(&mu_);
  cluster_ = records.cluster;
  inventory_.last_server_id = cluster_.last_server_id();
  inventory_.last_target_id = cluster_.last_target_id();
  // Versions of the records make deltas possible for everybody that knew the map before our start.
  publisher_->Publish({.version = cluster_.map_version()});
  for (const record::Server& server : records.servers) {
    const ServerId id(server.server().server_id());
    // Nobody is declared offline before he had the usual time to be heard.
    inventory_.servers[id] = {.record = server, .heard = started_};
    publisher_->Publish({.version = server.changed(), .servers = {server.server()}});
  }
  for (const record::Target& target : records.targets) {
    inventory_.targets[TargetId(target.target().target_id())] = {.record = target};
    publisher_->Publish({.version = target.changed(), .targets = {target.target()}});
  }
  for (const record::StorageClass& c : records.classes) {
    classes_[c.storage_class().storage_class()] = c;
    publisher_->Publish({.version = c.changed(), .classes = {c.storage_class()}});
  }
  for (const record::Group& group : records.groups) {
    ASSIGN_OR_RETURN(Membership membership, FromRecord(group));
    InstallGroup(membership, group.changed());
    publisher_->Publish({.version = group.changed(), .groups = {group.group()}});
  }
  CountPlaces();
  events_.StartBelowGoal(BelowGoal(), started_);
  return absl::OkStatus();
}

void ClusterState::Start() {
  publisher_->Start();
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "cluster-tick");
    Run();
  });
}

void ClusterState::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
  if (publisher_ != nullptr) publisher_->Stop();
}

void ClusterState::Run() {
  std::string last_error;
  absl::Duration expired = sources_.clock->SinceBoot();
  for (;;) {
    const absl::Duration before = sources_.clock->SinceBoot();
    {
      absl::MutexLock lock(&mu_);
      mu_.AwaitWithTimeout(absl::Condition(&stopping_), kTickEvery);
      if (stopping_) return;
    }
    // Only of the wait: while a slow disk holds up a tick, others hear heartbeats.
    const absl::Duration waited = sources_.clock->SinceBoot() - before;
    if (waited > kTickEvery + OptionsNow().offline_after / 4) StoodStill(waited);
    absl::Status status = Tick();
    if (status.ok()) status = fences_->Work();
    if (status.ok() && sources_.clock->SinceBoot() - expired > kExpireFencesEvery) {
      expired = sources_.clock->SinceBoot();
      status = fences_->Expire();
    }
    const std::string error = status.ok() ? "" : status.ToString();
    if (error != last_error && !error.empty()) {
      SPDLOG_ERROR("cluster state cannot be stored error={}", Quoted(error));
    }
    last_error = error;
  }
}

ViewSources ClusterState::Sight(const ClusterOptions& options) const {
  return {inventory_, members_,
          places_,    classes_,
          options,    formation_problem_,
          notes_,     sources_.clock->SinceBoot(),
          started_,   cluster_.rebalance(),
          moves_};
}

ClusterSpace ClusterState::Space() const {
  const ClusterOptions options = OptionsNow();
  absl::MutexLock lock(&mu_);
  return MakeClusterSpace(Sight(options));
}

ClusterView ClusterState::View() const {
  const ClusterOptions options = OptionsNow();
  absl::MutexLock lock(&mu_);
  ClusterView view = MakeClusterView(Sight(options));
  view.map_version = cluster_.map_version();
  view.restored = RestoredGroupCount() != 0;
  return view;
}

OrderQueue::Asked ClusterState::TargetsOfOrder(const wire::Order& order) const {
  absl::MutexLock lock(&mu_);
  OrderQueue::Asked asked{.map_version = cluster_.map_version()};
  asked.later = RestoredGroupCount() != 0;
  auto known = classes_.find(StorageClassOf(order));
  if (known == classes_.end()) return asked;
  asked.targets = TargetsOf(order, members_, known->second.storage_class().group_count());
  return asked;
}

uint64_t ClusterState::LowestConfirmedFence() const {
  absl::MutexLock lock(&mu_);
  uint64_t lowest = UINT64_MAX;
  for (const auto& [id, server] : inventory_.servers) {
    if (server.record.server().state() != wire::SERVER_ONLINE) continue;
    lowest = std::min(lowest, server.fence_version);
  }
  return lowest;
}

}  // namespace penstock::metaserver

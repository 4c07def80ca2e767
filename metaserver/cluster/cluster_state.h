// ClusterState owns membership: chunkservers, targets, storage classes and groups. It registers
// servers, hears heartbeats, forms the groups once, takes targets that are away out of their groups
// and brings them or others in (repair_plan.h), and publishes each change of the cluster map after
// the change is synced. Thread-safe.
//
// Order of a change: plan (pure) -> one batch with the next map version -> synced commit -> install
// in memory -> tell the order queue -> publish. One change at a time (ChangeTurn); heartbeats and
// readers never wait for it: what they report is noted in memory, and planned with at the next
// tick, of which all changes make one batch and one map version. Lock order: ChangeTurn, then mu_.
// Callbacks and commits run without mu_.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "common/clock.h"
#include "metaserver/cluster/change_turn.h"
#include "metaserver/cluster/cluster_events.h"
#include "metaserver/cluster/cluster_options.h"
#include "metaserver/cluster/cluster_view.h"
#include "metaserver/cluster/fence_board.h"
#include "metaserver/cluster/inventory.h"
#include "metaserver/cluster/map_publisher.h"
#include "metaserver/cluster/member_table.h"
#include "metaserver/cluster/order_queue.h"
#include "metaserver/cluster/repair_plan.h"
#include "metaserver/cluster/scrub_board.h"
#include "metaserver/cluster/setting_store.h"
#include "metaserver/log/replicated_log.h"
#include "metaserver/service/map_source.h"
#include "metaserver/store/meta_store.h"
#include "proto/admin.pb.h"

namespace penstock::metaserver {

inline constexpr uint32_t kDefaultStorageClass = 1;

class ClusterState : public SpaceSource {
 public:
  // All must outlive the state.
  struct Sources {
    MetaStore* store = nullptr;
    ReplicatedLog* log = nullptr;
    Clock* clock = nullptr;
    uint64_t first_order_id = 1;  // see OrderQueue
    EventSink* events = nullptr;  // null: nobody is told what happens
  };
  // Reads the records, or makes a new cluster in an empty database. FAILED_PRECONDITION: the
  // database belongs to another cluster than `options.cluster_id`.
  static absl::StatusOr<std::unique_ptr<ClusterState>> Open(const ClusterOptions& options,
                                                            const Sources& sources);
  ~ClusterState() override;
  void Start();  // the thread that notices silent servers
  void Stop();

  const std::string& cluster_id() const { return cluster_id_; }
  bool created() const { return created_; }  // by this Open
  MapPublisher& map() { return *publisher_; }
  OrderQueue& orders() { return *orders_; }
  FenceBoard& fences() { return *fences_; }
  const SettingStore& settings() const { return *settings_; }

  absl::StatusOr<wire::RegisterResponse> Register(const wire::RegisterRequest& request);
  wire::HeartbeatResponse Heartbeat(const wire::HeartbeatRequest& request);
  // Brings the states in the map and the groups' members up to date, and forms the groups when they
  // can be. Called by the thread; a test calls it itself.
  absl::Status Tick();

  // After a restore: forms the groups from what the chunkservers hold, unless some have not said
  // so. FAILED_PRECONDITION: too few targets.
  absl::StatusOr<wire::FinishRestoreResponse> FinishRestore(
      const wire::FinishRestoreRequest& request);

  // The member takes another's state, chunk by chunk, as one that comes back does.
  // FAILED_PRECONDITION: no other in-sync member is live.
  absl::Status SyncCopy(GroupId id, TargetId target);

  // Operations, each durable when it returns (cluster_operations.cc,
  // cluster_rebalance.cc). Safe to repeat. NOT_FOUND: no
  // such target; FAILED_PRECONDITION says what is in the way and what to do.
  absl::StatusOr<wire::DrainTargetResponse> DrainTarget(const wire::DrainTargetRequest& request);
  absl::StatusOr<wire::TargetInfo> UndrainTarget(TargetId target);
  absl::StatusOr<wire::RemoveTargetResponse> RemoveTarget(TargetId target, bool dry_run);
  absl::StatusOr<wire::StartRebalanceResponse> StartRebalance(
      const wire::StartRebalanceRequest& request);
  absl::StatusOr<wire::RebalanceInfo> StopRebalance();

  // This process stood still for so long (a stopped machine or VM): silence in that time is not the
  // servers'. Called by the thread.
  void StoodStill(absl::Duration time);

  // As SettingStore::Plan; an empty `value`: the default. FAILED_PRECONDITION: a chunkserver must
  // be set otherwise before.
  absl::StatusOr<wire::ChangeSettingResponse> ChangeSetting(const std::string& name,
                                                            const std::string& value);

  absl::StatusOr<wire::StartScrubResponse> StartScrub(const wire::StartScrubRequest& request);
  absl::StatusOr<wire::ListScrubsResponse> ListScrubs(const wire::ListScrubsRequest& request) const;

  ClusterSpace Space() const override;
  ClusterView View() const;

 private:
  struct Change {
    std::vector<record::Server> servers;
    std::vector<record::Target> targets;
    std::vector<record::StorageClass> classes;
    std::vector<Membership> groups;
    uint32_t last_server_id = 0;  // 0: as before
    uint32_t last_target_id = 0;
    bool restore_finished = false;
    std::optional<record::Rebalance> rebalance;
    bool empty() const {
      return servers.empty() && targets.empty() && classes.empty() && groups.empty() && !rebalance;
    }
  };

  ClusterState(const ClusterOptions& options, const Sources& sources);
  absl::Status Load(const ClusterRecords& records);
  absl::Status Create();
  void MakeParts(const ClusterRecords& records);
  ClusterOptions OptionsNow() const;  // with what the cluster has set
  absl::Status CheckFences(absl::Duration offline_after) const;

  // These hold the turn. A change that leaves the map as it is (of what a group's record says
  // beside its members) makes no map version.
  absl::Status Commit(Change change);
  absl::Status FormGroups();

  void PlanStates(Change& change) const;
  // What the plan says of rebalancing, for the record.
  void NoteRebalance(const RepairPlan& plan, Change& change);
  // For plans that take long: they are made on a copy, without mu_. Under the turn, members and
  // classes stay as they are meanwhile.
  struct Snapshot {
    Inventory inventory;
    MemberTable members;
    StorageClasses classes;
    GroupNotesMap notes;
    RebalanceWish wish;
  };
  Snapshot Copy() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  TargetFactsMap FactsOf(const Snapshot& now) const;
  RebalanceWish WishNow() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::vector<PlannedMove> PlanMoves(const Snapshot& now, const TargetFactsMap& facts,
                                     double threshold, size_t most) const;
  // Plans what rebalancing would do from now on, for views: every few seconds, sooner when the
  // cluster has changed; or unless that was done within such a time.
  void LookAhead();
  void LookAhead(absl::Duration unless_within);
  // NOT_FOUND: there is none, or it was removed.
  absl::StatusOr<record::Target> TargetRecord(TargetId target) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status CommitTarget(const record::Target& target);
  wire::TargetInfo InfoOf(TargetId target) const;
  ViewSources Sight(const ClusterOptions& options) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  RepairPlan PlanGroups() const;
  void NoteSynced(ServerId server, const wire::HeartbeatRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void NoteProgress(ServerId server, const wire::HeartbeatRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint32_t RestoredGroupCount() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void NoteHeld(ServerId server, const wire::HeartbeatRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // For each group, the map version that brings its epoch when the change is made as `version`.
  std::vector<uint64_t> PublishedBy(const std::vector<Membership>& groups, uint64_t version) const;
  // Returns the groups as they were before.
  MembershipsBefore Install(const Change& change, const std::vector<uint64_t>& published)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void InstallGroup(const Membership& group, uint64_t published) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CountPlaces() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint32_t BelowGoal() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);  // groups
  // Tells the orders of groups that are no longer as they were `before`.
  void ReviseOrders(const MembershipsBefore& before);
  OrderRevision RevisionOf(const wire::Order& order, const MembershipsBefore& before) const;
  OrderQueue::Asked TargetsOfOrder(const wire::Order& order) const;
  void GiveDrops(const std::vector<wire::DropGroup>& drops);
  void NoteDropped(const wire::DropGroup& drop);
  uint64_t LowestConfirmedFence() const;
  void Run();

  const ClusterOptions options_;  // of the start; see OptionsNow()
  const Sources sources_;
  absl::Duration started_;
  bool created_ = false;                     // constant after Open
  std::string cluster_id_;                   // constant after Open
  std::unique_ptr<MapPublisher> publisher_;  // constant after Open, as the next three
  std::unique_ptr<OrderQueue> orders_;
  std::unique_ptr<FenceBoard> fences_;
  std::unique_ptr<SettingStore> settings_;

  ChangeTurn turn_;
  mutable absl::Mutex mu_;
  record::Cluster cluster_ ABSL_GUARDED_BY(mu_);
  Inventory inventory_ ABSL_GUARDED_BY(mu_);
  absl::btree_map<uint32_t, record::StorageClass> classes_ ABSL_GUARDED_BY(mu_);
  MemberTable members_ ABSL_GUARDED_BY(mu_);
  GroupNotesMap notes_ ABSL_GUARDED_BY(mu_);  // of the same groups
  PlaceCounts places_ ABSL_GUARDED_BY(mu_);
  ScrubBoard scrubs_ ABSL_GUARDED_BY(mu_);
  std::string formation_problem_ ABSL_GUARDED_BY(mu_);
  NoEvents no_events_;
  ClusterEvents events_ ABSL_GUARDED_BY(mu_);
  MovesNow moves_ ABSL_GUARDED_BY(mu_);  // of the last tick
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace penstock::metaserver

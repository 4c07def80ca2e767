#include "metaserver/lease/lease_table.h"

#include <absl/hash/hash.h>
#include <absl/random/random.h>

#include <algorithm>

#include "common/status.h"

namespace penstock::metaserver {
namespace {

// A surplus is taken in large steps, since choosing looks at every lease of the session.
constexpr size_t kSurplusPart = 8;

}  // namespace

LeaseTable::LeaseTable(LeaseOptions options, Clock* time)
    : options_(options), time_(time), changed_(kStripes, 0), contested_(options.contested_window) {}

uint64_t LeaseTable::RandomGeneration() {
  absl::BitGen random;
  return absl::Uniform<uint64_t>(random, 1, uint64_t{1} << 62);
}

uint64_t LeaseTable::MarkOf(InodeNumber ino) { return absl::HashOf(ino.value()); }
uint64_t LeaseTable::MarkOf(InodeNumber parent, std::string_view name) {
  return absl::HashOf(parent.value(), name);
}
uint64_t LeaseTable::LeaseMark(InodeNumber lease) {
  return absl::HashOf(lease.value(), std::string_view("/"));  // no name holds a slash
}

uint64_t LeaseTable::clock() const {
  absl::MutexLock lock(&mu_);
  return clock_;
}

LeaseTable::Grants::Grants(LeaseTable* table, SessionId session,
                           uint64_t since) ABSL_NO_THREAD_SAFETY_ANALYSIS : table_(table),
                                                                            session_(session),
                                                                            since_(since) {
  table_->mu_.Lock();
}

LeaseTable::Grants::~Grants() ABSL_NO_THREAD_SAFETY_ANALYSIS { table_->mu_.Unlock(); }

bool LeaseTable::Grants::Record(InodeNumber ino, InodeNumber cover) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  return table_->MayGrant(cover) && table_->Hold(session_, cover) &&
         table_->Unchanged(MarkOf(ino), since_);
}

bool LeaseTable::Grants::Name(InodeNumber parent,
                              std::string_view name) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  return table_->MayGrant(parent) && table_->Hold(session_, parent) &&
         table_->Unchanged(MarkOf(parent, name), since_);
}

bool LeaseTable::MayGrant(InodeNumber lease) const {
  return contested_.size() == 0 || !contested_.IsContested(lease, time_->SinceBoot());
}

// Once a change, however many attempts it needs.
bool LeaseTable::NoteContest(LeaseChange& change, InodeNumber directory, SessionId session) {
  if (!session.valid()) return false;
  const auto [noted, first] = change.directories_.try_emplace(directory.value(), false);
  if (first) noted->second = contested_.NoteChange(directory, session, time_->SinceBoot());
  return noted->second;
}

bool LeaseTable::Hold(SessionId session, InodeNumber lease) {
  auto it = sessions_.find(session.value());
  if (it == sessions_.end()) return false;
  const auto [held, fresh] = it->second.leases.try_emplace(lease.value(), clock_);
  held->second = clock_;
  if (fresh) holders_[lease.value()].push_back(session.value());
  return true;
}

bool LeaseTable::Unchanged(uint64_t mark, uint64_t since) const {
  return changed_[mark % kStripes] <= since && !marks_.contains(mark);
}

void LeaseTable::Mark(LeaseChange& change, uint64_t mark) {
  if (change.marks_.insert(mark).second) marks_[mark].push_back(&change);
}

std::vector<Recall> LeaseTable::Begin(LeaseChange& change, const Touched& touched, SessionId self,
                                      absl::Span<const uint64_t> declared) {
  absl::flat_hash_map<uint64_t, Recall> recalls;
  absl::MutexLock lock(&mu_);
  auto tell = [&](InodeNumber lease, uint64_t mark, bool self_too, auto add)
                  ABSL_NO_THREAD_SAFETY_ANALYSIS {
                    auto it = holders_.find(lease.value());
                    if (it == holders_.end()) return;
                    for (uint64_t holder : it->second) {
                      if (holder == self.value() && !self_too) continue;
                      if (!change.told_.insert({holder, mark}).second) continue;
                      Recall& recall = recalls[holder];
                      recall.session = SessionId(holder);
                      add(recall);
                    }
                  };
  for (const Touched::Name& name : touched.names) {
    const uint64_t mark = MarkOf(name.parent, name.name);
    Mark(change, mark);
    change.names_.insert(mark);
    tell(name.parent, mark, false, [&](Recall& recall) { recall.names.push_back(name); });
    if (!NoteContest(change, name.parent, self)) continue;
    tell(name.parent, LeaseMark(name.parent), false,
         [&](Recall& recall) { recall.leases.push_back(name.parent); });
  }
  for (const Touched::Record& record : touched.records) {
    const uint64_t mark = MarkOf(record.ino);
    Mark(change, mark);
    const bool self_too =
        std::find(declared.begin(), declared.end(), record.ino.value()) == declared.end();
    auto add = [&](Recall& recall) { recall.records.push_back(record); };
    if (record.cover.valid()) tell(record.cover, mark, self_too, add);
  }
  std::vector<Recall> list;
  list.reserve(recalls.size());
  for (auto& [session, recall] : recalls) list.push_back(std::move(recall));
  return list;
}

void LeaseTable::Applied(const LeaseChange& change, SessionId self) {
  if (change.names_.empty()) return;
  absl::MutexLock lock(&mu_);
  for (uint64_t mark : change.names_) {
    for (LeaseChange* other : marks_[mark]) {
      if (other != &change) other->told_.erase({self.value(), mark});
    }
  }
}

void LeaseTable::End(LeaseChange& change) {
  if (change.marks_.empty()) return;  // ended before; only its own thread adds to it
  absl::MutexLock lock(&mu_);
  ++clock_;
  for (uint64_t mark : change.marks_) {
    changed_[mark % kStripes] = clock_;
    auto it = marks_.find(mark);
    INVARIANT(it != marks_.end());
    it->second.erase(std::find(it->second.begin(), it->second.end(), &change));
    if (it->second.empty()) marks_.erase(it);
  }
  change.marks_.clear();
  change.names_.clear();
  change.told_.clear();
  change.directories_.clear();
}

bool LeaseTable::IsChanging(InodeNumber ino) const {
  absl::MutexLock lock(&mu_);
  return marks_.contains(MarkOf(ino));
}

void LeaseTable::Enter(SessionId session, uint64_t generation) {
  absl::MutexLock lock(&mu_);
  Session& state = sessions_[session.value()];
  state.generation = generation != 0 ? generation : ++last_generation_;
}

void LeaseTable::Drop(uint64_t lease, SessionId session) {
  auto it = holders_.find(lease);
  if (it == holders_.end()) return;
  Holders& holders = it->second;
  holders.erase(std::remove(holders.begin(), holders.end(), session.value()), holders.end());
  if (holders.empty()) holders_.erase(it);
}

void LeaseTable::Clear(SessionId session, Session& state) {
  for (const auto& [lease, used] : state.leases) Drop(lease, session);
  state.leases.clear();
}

void LeaseTable::Forget(SessionId session) {
  absl::MutexLock lock(&mu_);
  auto it = sessions_.find(session.value());
  if (it == sessions_.end()) return;
  Clear(session, it->second);
  sessions_.erase(it);
}

uint64_t LeaseTable::Void(SessionId session) {
  absl::MutexLock lock(&mu_);
  auto it = sessions_.find(session.value());
  if (it == sessions_.end()) return 0;
  Clear(session, it->second);
  it->second.generation = ++last_generation_;
  return it->second.generation;
}

uint64_t LeaseTable::generation(SessionId session) const {
  absl::MutexLock lock(&mu_);
  auto it = sessions_.find(session.value());
  return it == sessions_.end() ? 0 : it->second.generation;
}

void LeaseTable::Present(SessionId session, absl::Span<const uint64_t> leases) {
  absl::MutexLock lock(&mu_);
  for (uint64_t lease : leases) Hold(session, InodeNumber(lease));
}

void LeaseTable::Release(SessionId session, absl::Span<const uint64_t> leases) {
  absl::MutexLock lock(&mu_);
  auto it = sessions_.find(session.value());
  if (it == sessions_.end()) return;
  for (uint64_t lease : leases) {
    if (it->second.leases.erase(lease) > 0) Drop(lease, session);
  }
}

std::vector<uint64_t> LeaseTable::TakeSurplus(SessionId session) {
  absl::MutexLock lock(&mu_);
  auto it = sessions_.find(session.value());
  if (it == sessions_.end() || it->second.leases.size() <= options_.max_leases_per_session) {
    return {};
  }
  std::vector<std::pair<uint64_t, uint64_t>> by_use;
  for (const auto& [lease, used] : it->second.leases) by_use.emplace_back(used, lease);
  const size_t surplus = options_.max_leases_per_session / kSurplusPart + 1;
  std::nth_element(by_use.begin(), by_use.begin() + static_cast<ptrdiff_t>(surplus), by_use.end());
  std::vector<uint64_t> taken;
  for (size_t i = 0; i < surplus; ++i) taken.push_back(by_use[i].second);
  return taken;  // they are held until the session has given them up
}

size_t LeaseTable::leases(SessionId session) const {
  absl::MutexLock lock(&mu_);
  auto it = sessions_.find(session.value());
  return it == sessions_.end() ? 0 : it->second.leases.size();
}

}  // namespace penstock::metaserver

#include "client/read_pace.h"

#include <algorithm>

namespace penstock::client {

absl::Duration ReadPace::HedgeAfter(size_t bytes) const {
  if (options_.least == absl::InfiniteDuration()) return options_.least;
  absl::MutexLock lock(&mu_);
  return std::clamp(usual_p99_[KindOf(bytes)], options_.least,
                    std::max(options_.least, options_.most));
}

bool ReadPace::TakeHedge() {
  absl::MutexLock lock(&mu_);
  if (saved_hedges_ < 1) return false;
  saved_hedges_ -= 1;
  ++counters_.hedged;
  return true;
}

void ReadPace::GiveBackHedge() {
  absl::MutexLock lock(&mu_);
  saved_hedges_ += 1;
  --counters_.hedged;
}

void ReadPace::Note(Server& server, size_t kind, absl::Duration took) {
  Recent& recent = server.recent[kind];
  recent.seconds[recent.count++ % kSamples] = static_cast<float>(absl::ToDoubleSeconds(took));
  if (recent.count < kEnough || recent.count % kRefresh != 0) return;
  std::array<float, kSamples> sorted = recent.seconds;
  const size_t n = std::min(recent.count, kSamples);
  const size_t at = n - 1 - n / 100;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(at),
                   sorted.begin() + static_cast<ptrdiff_t>(n));
  recent.p99 = absl::Seconds(static_cast<double>(sorted[at]));
  std::vector<absl::Duration> known;
  for (const auto& [id, each] : servers_) {
    if (each.recent[kind].p99 != absl::InfiniteDuration()) known.push_back(each.recent[kind].p99);
  }
  const auto quick = known.begin() + static_cast<ptrdiff_t>((known.size() - 1) / 4);
  std::nth_element(known.begin(), quick, known.end());
  usual_p99_[kind] = *quick;
}

void ReadPace::Answered(ServerId server, size_t bytes, absl::Duration took) {
  absl::MutexLock lock(&mu_);
  Server& known = servers_[server];
  Note(known, KindOf(bytes), took);
  known.overtaken = std::max(0.0, known.overtaken - kInTime);
  saved_hedges_ = std::min(options_.hedges_saved, saved_hedges_ + options_.hedges_per_read);
}

void ReadPace::Overtaken(ServerId server, size_t bytes, absl::Duration waited, absl::Time now) {
  absl::MutexLock lock(&mu_);
  ++counters_.won;
  Server& known = servers_[server];
  Note(known, KindOf(bytes), waited);
  known.overtaken += 1;
  if (known.overtaken < options_.limps_after) return;
  known.limps_until = now + options_.limps_for;
  known.overtaken = options_.limps_after / 2;  // asked again after that, it is soon known
}

bool ReadPace::Limps(ServerId server, absl::Time now) const {
  absl::MutexLock lock(&mu_);
  const auto it = servers_.find(server);
  return it != servers_.end() && now < it->second.limps_until;
}

ReadPace::Counters ReadPace::counters() const {
  absl::MutexLock lock(&mu_);
  return counters_;
}

}  // namespace penstock::client

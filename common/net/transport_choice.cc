#include "common/net/transport_choice.h"

namespace penstock::net {
namespace {

constexpr int kBreaksInARow = 3;
constexpr size_t kMostPeers = 10'000;  // beyond that what is known is forgotten, and tried anew

bool OfThisMachine(RdmaFailure failure) {
  return failure == RdmaFailure::kNoDevice || failure == RdmaFailure::kLockedMemory;
}

}  // namespace

std::optional<TransportMode> ParseTransportMode(std::string_view text) {
  for (TransportMode mode : {TransportMode::kAuto, TransportMode::kRdma, TransportMode::kTcp}) {
    if (text == TransportModeName(mode)) return mode;
  }
  return std::nullopt;
}

std::string_view TransportModeName(TransportMode mode) {
  switch (mode) {
    case TransportMode::kAuto:
      return "auto";
    case TransportMode::kRdma:
      return "rdma";
    case TransportMode::kTcp:
      return "tcp";
  }
  return "";
}

const TransportChoice::State* TransportChoice::Find(const std::string& peer) const {
  auto found = peers_.find(peer);
  return found == peers_.end() ? nullptr : &found->second;
}

bool TransportChoice::WouldTryLocked(const std::string& peer, absl::Duration now) const {
  const auto free = [now](const State& state) {
    return !state.why.has_value() || (!state.trying && now >= state.retry_at);
  };
  const State* state = Find(peer);
  return free(here_) && (state == nullptr || free(*state));
}

bool TransportChoice::WouldTry(const std::string& peer, absl::Duration now) const {
  absl::MutexLock lock(&mu_);
  return WouldTryLocked(peer, now);
}

bool TransportChoice::Try(const std::string& peer, absl::Duration now) {
  absl::MutexLock lock(&mu_);
  if (!WouldTryLocked(peer, now)) return false;
  if (peers_.size() >= kMostPeers && !peers_.contains(peer)) peers_.clear();
  if (here_.why.has_value()) here_.trying = true;
  State& state = peers_[peer];
  if (state.why.has_value()) state.trying = true;
  return true;
}

void TransportChoice::Worked(const std::string& peer) {
  absl::MutexLock lock(&mu_);
  here_ = {};
  State& state = peers_[peer];
  state.why.reset();
  state.trying = false;
}

void TransportChoice::GaveUp(const std::string& peer) {
  absl::MutexLock lock(&mu_);
  here_.trying = false;
  peers_[peer].trying = false;
}

bool TransportChoice::FailedLocked(const std::string& peer, RdmaFailure failure,
                                   absl::Duration now) {
  ++failures_[static_cast<size_t>(failure)];
  here_.trying = false;
  State& mine = peers_[peer];
  mine.trying = false;
  State& state = OfThisMachine(failure) ? here_ : mine;
  const bool news = state.why != failure;
  state.why = failure;
  state.retry_at = now + retry_after_;
  return news;
}

bool TransportChoice::Failed(const std::string& peer, RdmaFailure failure, absl::Duration now) {
  absl::MutexLock lock(&mu_);
  return FailedLocked(peer, failure, now);
}

bool TransportChoice::Broke(const std::string& peer, absl::Duration now) {
  absl::MutexLock lock(&mu_);
  State& state = peers_[peer];
  if (state.breaks == 0 || now - state.first_break > retry_after_) {
    state.breaks = 0;
    state.first_break = now;
  }
  if (++state.breaks < kBreaksInARow) {
    ++failures_[static_cast<size_t>(RdmaFailure::kBroken)];
    return false;
  }
  state.breaks = 0;
  return FailedLocked(peer, RdmaFailure::kBroken, now);
}

std::optional<RdmaFailure> TransportChoice::WhyNot(const std::string& peer) const {
  absl::MutexLock lock(&mu_);
  if (here_.why.has_value()) return here_.why;
  const State* state = Find(peer);
  return state == nullptr ? std::nullopt : state->why;
}

uint64_t TransportChoice::failures(RdmaFailure failure) const {
  absl::MutexLock lock(&mu_);
  return failures_[static_cast<size_t>(failure)];
}

}  // namespace penstock::net

#include "tests/coherence/node.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace penstock::coherence {
namespace {

// Not the futex of std::atomic::wait, which works within one process only.
void FutexWait(std::atomic<uint32_t>* word, uint32_t value, int64_t limit_ns) {
  const timespec limit = {limit_ns / 1'000'000'000, limit_ns % 1'000'000'000};
  syscall(SYS_futex, word, FUTEX_WAIT, value, &limit, nullptr, 0);
}

void FutexWakeAll(std::atomic<uint32_t>* word) {
  syscall(SYS_futex, word, FUTEX_WAKE, 1 << 30, nullptr, nullptr, 0);
}

}  // namespace

void Node::BeginRound(uint64_t round) {
  round_ = round;
  plan_ = Random::For(options_.seed, round, 0);
  own_ = Random::For(options_.seed, round, 1 + id_);
  calls.BeginRound(round);
}

void Node::Leave() { _exit(0); }

void Node::Barrier() {
  const uint32_t generation = shared_->generation.load();
  if (shared_->arrived.fetch_add(1) + 1 == static_cast<uint32_t>(count())) {
    shared_->arrived.store(0);
    shared_->generation.store(generation + 1);
    FutexWakeAll(&shared_->generation);
  }
  // The machine has few cores, and the file system needs them: a short wait, then sleep.
  for (int turn = 0; turn < 20 && shared_->generation.load() == generation; ++turn) sched_yield();
  while (shared_->generation.load() == generation && !stopped()) {
    FutexWait(&shared_->generation, generation, 100'000'000);
  }
  if (stopped()) Leave();
}

void Node::Stagger() {
  if (own_.OneIn(3)) return;
  const int64_t until_ns = NowNs() + own_.Below(own_.OneIn(4) ? 200'000 : 20'000);
  while (NowNs() < until_ns) {
  }
}

void Node::Yield() {
  if (stopped()) Leave();
  sched_yield();
}

void Node::Fail(const char* format, ...) {
  char text[2000];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  FailAbout("", text);
}

void Node::FailAbout(const std::string& subject, const std::string& text) {
  int nobody = 0;
  if (shared_->failed_node.compare_exchange_strong(nobody, id_ + 1)) {
    shared_->failed_round = round_;
    std::snprintf(shared_->subject, sizeof(shared_->subject), "%s", subject.c_str());
    std::snprintf(shared_->failure, sizeof(shared_->failure), "%s", text.c_str());
    shared_->failure_told.store(true);
    shared_->stop.store(true);
  }
  Leave();
}

int64_t Node::Must(int64_t result) {
  if (result < 0) {
    Fail("node %d met an error that nothing explains: %s", id_, calls.LastCall().c_str());
  }
  return result;
}

void Node::Skip(const char* why) {
  if (id_ == 0) {
    std::snprintf(shared_->skipped, sizeof(shared_->skipped), "%s", why);
    shared_->stop.store(true);
  }
  Leave();
}

bool Node::Allowed(int64_t result) {
  if (result >= 0 || !options_.allowed_errors.contains(static_cast<int>(-result))) return false;
  shared_->nodes[id_].errors.fetch_add(1);
  return true;
}

}  // namespace penstock::coherence

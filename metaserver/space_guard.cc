#include "metaserver/space_guard.h"

#include <absl/strings/str_cat.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <cerrno>

#include "common/logging.h"
#include "common/program.h"
#include "common/status.h"

namespace penstock::metaserver {
namespace {

// It does not end before there is an eighth more than the reserve, so that it does not flutter.
constexpr uint64_t kMoreToGoOn = 8;

}  // namespace

SpaceGuard::SpaceGuard(SpaceGuardOptions options, FileSystem* fs,
                       absl::AnyInvocable<absl::Status()> recover)
    : options_(std::move(options)), fs_(fs), recover_(std::move(recover)) {}

void SpaceGuard::Start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "meta-space");
    Run();
  });
}

void SpaceGuard::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void SpaceGuard::Run() {
  while (true) {
    Look();
    absl::MutexLock lock(&mu_);
    mu_.AwaitWithTimeout(absl::Condition(&stopping_), options_.every);
    if (stopping_) return;
  }
}

bool SpaceGuard::IsFull(uint64_t free_bytes) const {
  const uint64_t reserve = options_.reserve_bytes;
  return free_bytes < (full_.load() ? reserve + reserve / kMoreToGoOn : reserve);
}

void SpaceGuard::Look() {
  auto space = fs_->Space(options_.dir);
  if (!space.ok()) return;  // what cannot be written says so itself
  free_bytes_.store(space->free_bytes);
  const bool full = IsFull(space->free_bytes);
  // First the log, then everybody.
  if (!full && !recover_().ok()) return;
  if (full == full_.exchange(full)) return;
  if (full) {
    SPDLOG_ERROR("metadata disk nearly full, names are read-only dir={} free_bytes={} reserve={}",
                 Quoted(options_.dir), space->free_bytes, options_.reserve_bytes);
  } else {
    SPDLOG_INFO("metadata disk has room again, names can be changed free_bytes={}",
                space->free_bytes);
  }
}

absl::Status SpaceGuard::CheckRoom() const {
  if (!full_.load()) return absl::OkStatus();
  return PosixError(ENOSPC, "the metaserver's disk is nearly full: nothing can be added");
}

std::string SpaceGuard::Problem() const {
  if (!full_.load()) return "";
  return absl::StrCat("the metaserver's disk is nearly full (", free_bytes_.load() >> 20,
                      " MiB free, of a reserve of ", FormatBytes(options_.reserve_bytes),
                      "): names are read-only (ENOSPC) until space is freed on the disk of ",
                      options_.dir, " or files are deleted");
}

}  // namespace penstock::metaserver

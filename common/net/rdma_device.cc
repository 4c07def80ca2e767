#include "common/net/rdma_device.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/net/rdma_failure.h"
#include "common/status.h"

namespace penstock::net {
namespace {

constexpr int kMostReadsInFlight = 16;

int AccessOf(RdmaReach reach, bool iwarp) {
  int access = IBV_ACCESS_LOCAL_WRITE;
  if (reach == RdmaReach::kReadAndWrite) {
    access |= IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE;
  }
  // RFC 5040: the answer to an RDMA READ comes as a tagged write.
  if (iwarp) access |= IBV_ACCESS_REMOTE_WRITE;
  return access;
}

}  // namespace

absl::StatusOr<std::shared_ptr<RdmaDevice>> RdmaDevice::Open(ibv_context* context) {
  std::shared_ptr<RdmaDevice> device(new RdmaDevice(context));
  ibv_device_attr attributes{};
  if (ibv_query_device(context, &attributes) != 0) {
    return RdmaError(RdmaFailure::kNoDevice,
                     absl::StrCat("device ", device->name(), " does not answer"));
  }
  device->most_reads_in_flight_ = std::clamp(
      std::min(attributes.max_qp_rd_atom, attributes.max_qp_init_rd_atom), 1, kMostReadsInFlight);
  for (ibv_pd*& domain : device->domains_) {
    domain = ibv_alloc_pd(context);
    if (domain == nullptr) {
      return RdmaError(RdmaFailure::kNoDevice, absl::StrCat("protection domain on ", device->name(),
                                                            ": ", std::strerror(errno)));
    }
  }
  PayloadPool::Shared().AddWatcher(device.get());
  return device;
}

RdmaDevice::~RdmaDevice() {
  PayloadPool::Shared().RemoveWatcher(this);
  if (dead()) return;
  {
    absl::MutexLock lock(&mu_);
    for (auto& [base, regions] : regions_) {
      for (auto& [kind, region] : regions) (void)ibv_dereg_mr(region);
    }
    regions_.clear();
  }
  for (ibv_pd* domain : domains_) {
    if (domain != nullptr) (void)ibv_dealloc_pd(domain);
  }
}

absl::StatusOr<ibv_mr*> RdmaDevice::Register(RdmaPeer peer, RdmaReach reach, const void* at,
                                             size_t bytes) {
  const auto block = PayloadPool::Shared().Find(at, bytes);
  if (!block.has_value()) return absl::NotFoundError("memory of no payload block");
  if (dead()) return RdmaError(RdmaFailure::kNoDevice, "RDMA device was removed");
  absl::MutexLock lock(&mu_);
  std::map<Kind, ibv_mr*>& regions = regions_[block->base];
  auto [found, added] = regions.try_emplace({peer, reach}, nullptr);
  if (!added) return found->second;
  found->second = ibv_reg_mr(domain(peer), block->base, block->capacity, AccessOf(reach, iwarp()));
  if (found->second != nullptr) return found->second;
  const int err = errno;
  regions.erase(found);
  if (regions.empty()) regions_.erase(block->base);
  return RdmaError(RdmaFailure::kLockedMemory,
                   absl::StrCat("registering ", block->capacity, " bytes with ", name(), ": ",
                                std::strerror(err)));
}

size_t RdmaDevice::registrations() const {
  absl::MutexLock lock(&mu_);
  size_t count = 0;
  for (const auto& [base, regions] : regions_) count += regions.size();
  return count;
}

void RdmaDevice::OnFree(const PayloadBlock& block) {
  absl::MutexLock lock(&mu_);
  auto found = regions_.find(block.base);
  if (found == regions_.end()) return;
  for (auto& [kind, region] : found->second) {
    if (!dead()) (void)ibv_dereg_mr(region);
  }
  regions_.erase(found);
}

}  // namespace penstock::net

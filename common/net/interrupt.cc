#include <sys/eventfd.h>
#include <unistd.h>

#include "common/net/rpc_client.h"
#include "common/status.h"

namespace penstock::net {

Interrupt::Interrupt() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Interrupt::~Interrupt() {
  if (fd_ >= 0) close(fd_);
}

void Interrupt::Fire() {
  fired_.store(true, std::memory_order_release);
  // Never read back: once readable it stays so, which makes the interrupt sticky for every waiter.
  if (fd_ >= 0) (void)!eventfd_write(fd_, 1);
}

}  // namespace penstock::net

// What FUSE does not say of the system call that a request belongs to. /proc tells, if it may be
// read: for a process of another user without CAP_SYS_PTRACE, or of another PID namespace, the
// answer is no.
#pragma once

#include <cstdint>
#include <optional>

#include "client/kernel_cache.h"

namespace penstock::client {

// Whether `thread`, whose fcntl() is being answered, waits for a lock of an open file description.
// Such a wait must never be refused as a deadlock, as another thread may unlock; but the kernel
// sends it just as a process's. The call's command tells (F_OFD_SETLKW).
bool WaitsForOpenFileLock(uint64_t thread);

// The last parts of both paths, when `thread`, whose LOOKUP is being answered, is in rename(2) or
// one of its kin.
std::optional<RenameCall> RenameOf(uint64_t thread);

}  // namespace penstock::client

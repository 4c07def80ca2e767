// What FUSE does not say of who waits for a lock.
#pragma once

#include <cstdint>

namespace penstock::client {

// Whether `thread`, whose fcntl() is being answered, waits for a lock of an open file description.
// Such a wait must never be refused as a deadlock, as another thread may unlock; but the kernel
// sends it just as a process's. Its system call tells (F_OFD_SETLKW); when that cannot be seen (a
// process of another user, or of another PID namespace), the answer is no.
bool WaitsForOpenFileLock(uint64_t thread);

}  // namespace penstock::client

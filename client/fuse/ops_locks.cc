// getlk, setlk, flock. A request that waits for its lock holds no thread: it is parked, and
// answered by whoever hears of the grant, or of the signal that ends it.
//
// EINTR is what a local file system says for a signal, and the kernel's FUSE makes ERESTARTSYS of
// it for locks: with SA_RESTART the process asks again, else it gets EINTR. So every signal ends
// the wait at once, as on a local disk, and InterruptGrace has no part in it.
#include <fcntl.h>
#include <sys/file.h>

#include <memory>

#include "client/fuse/caller.h"
#include "client/fuse/operations.h"
#include "client/fuse/request.h"
#include "common/status.h"

namespace penstock::client {
namespace {

constexpr uint64_t kLastByte = INT64_MAX;

wire::LockType ToType(short type) {
  switch (type) {
    case F_RDLCK:
      return wire::LOCK_TYPE_READ;
    case F_WRLCK:
      return wire::LOCK_TYPE_WRITE;
    default:
      return wire::LOCK_TYPE_NONE;
  }
}

wire::FileLock ToFileLock(const fuse_file_info* fi, const struct flock& lock) {
  wire::FileLock file_lock;
  file_lock.set_type(ToType(lock.l_type));
  file_lock.set_owner(fi->lock_owner);
  file_lock.set_pid(static_cast<uint32_t>(lock.l_pid));
  const auto start = static_cast<uint64_t>(lock.l_start);
  file_lock.set_start(start);
  file_lock.set_end(lock.l_len == 0 ? kLastByte : start + static_cast<uint64_t>(lock.l_len) - 1);
  return file_lock;
}

// A process of another node has no number here.
struct flock ToFlock(const wire::GetLockResponse& found) {
  struct flock lock = {};
  lock.l_whence = SEEK_SET;
  lock.l_type = F_UNLCK;
  if (!found.conflict()) return lock;
  const wire::FileLock& other = found.lock();
  lock.l_type = other.type() == wire::LOCK_TYPE_READ ? F_RDLCK : F_WRLCK;
  lock.l_start = static_cast<off_t>(other.start());
  lock.l_len = other.end() >= kLastByte ? 0 : static_cast<off_t>(other.end() - other.start() + 1);
  lock.l_pid = found.remote() ? 0 : static_cast<pid_t>(other.pid());
  return lock;
}

struct Parked {
  LockWaits* waits = nullptr;
  uint64_t ticket = 0;
};

// Under libfuse's lock of the request: only leaves a note.
void OnInterrupt(fuse_req_t, void* data) {
  const auto* parked = static_cast<const Parked*>(data);
  parked->waits->Interrupt(parked->ticket);
}

void Park(Request& request, uint64_t ticket) {
  LockWaits& waits = request.fs().lock_waits();
  auto parked = std::make_unique<Parked>(Parked{&waits, ticket});
  const fuse_req_t req = request.Finish();
  fuse_req_interrupt_func(req, OnInterrupt, parked.get());
  waits.Park(ticket, [req, parked = std::move(parked)](const absl::Status& status) mutable {
    // Returns once OnInterrupt runs no more.
    fuse_req_interrupt_func(req, nullptr, nullptr);
    parked.reset();
    fuse_reply_err(req, ToErrno(status));
  });
}

void SetLock(Request& request, const fuse_file_info* fi, wire::FileLock lock, bool wait) {
  auto handle = request.File(fi);
  if (!handle.ok()) return request.Reply(handle.status());
  if (!wait || lock.type() == wire::LOCK_TYPE_NONE) {
    return request.Reply(request.fs().SetLock(**handle, std::move(lock), request.op()));
  }
  const FileSystem::LockWait begun =
      request.fs().BeginLock(**handle, std::move(lock), request.op());
  if (begun.queued) return Park(request, begun.ticket);
  request.Reply(begun.status);
}

void Setlk(fuse_req_t req, fuse_ino_t, fuse_file_info* fi, struct flock* lock, int sleep) {
  Request request(req);
  wire::FileLock wanted = ToFileLock(fi, *lock);
  if (sleep != 0 && WaitsForOpenFileLock(request.op().thread)) wanted.set_kind(wire::LOCK_OFD);
  SetLock(request, fi, std::move(wanted), sleep != 0);
}

void Flock(fuse_req_t req, fuse_ino_t, fuse_file_info* fi, int op) {
  Request request(req);
  wire::FileLock lock;
  lock.set_kind(wire::LOCK_FLOCK);
  lock.set_owner(fi->lock_owner);
  lock.set_pid(static_cast<uint32_t>(request.op().thread));
  lock.set_end(kLastByte);
  switch (op & ~LOCK_NB) {
    case LOCK_SH:
      lock.set_type(wire::LOCK_TYPE_READ);
      break;
    case LOCK_EX:
      lock.set_type(wire::LOCK_TYPE_WRITE);
      break;
    default:
      lock.set_type(wire::LOCK_TYPE_NONE);
  }
  SetLock(request, fi, std::move(lock), (op & LOCK_NB) == 0);
}

void Getlk(fuse_req_t req, fuse_ino_t, fuse_file_info* fi, struct flock* lock) {
  Request request(req);
  auto handle = request.File(fi);
  if (!handle.ok()) return request.Reply(handle.status());
  auto found = request.fs().GetLock(**handle, ToFileLock(fi, *lock), request.op());
  if (!found.ok()) return request.Reply(found.status());
  const struct flock answer = ToFlock(*found);
  fuse_reply_lock(request.Finish(), &answer);
}

}  // namespace

void AddLockOperations(fuse_lowlevel_ops* ops) {
  ops->setlk = Setlk;
  ops->flock = Flock;
  ops->getlk = Getlk;
}

}  // namespace penstock::client

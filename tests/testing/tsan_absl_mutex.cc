// Debian's abseil is built without ThreadSanitizer, which therefore does not see what absl::Mutex
// and absl::CondVar order, and would report every guarded member as a race. In a TSan build these
// definitions stand before those of the shared library: they tell TSan and call on. Empty
// otherwise.
#if defined(__SANITIZE_THREAD__)

#include <absl/time/time.h>
#include <dlfcn.h>

#define REAL(name, ...) \
  static auto* const real = reinterpret_cast<__VA_ARGS__>(dlsym(RTLD_NEXT, #name))

extern "C" {

void __tsan_acquire(void* address);
void __tsan_release(void* address);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);

namespace {

// absl evaluates the conditions of waiting threads on whichever thread unlocks: under the lock, but
// after this side has told TSan of the unlock.
struct IgnoreReads {
  IgnoreReads() { AnnotateIgnoreReadsBegin(__FILE__, __LINE__); }
  ~IgnoreReads() { AnnotateIgnoreReadsEnd(__FILE__, __LINE__); }
};

}  // namespace

#define LOCK(name)               \
  void name(void* mutex) {       \
    REAL(name, void (*)(void*)); \
    real(mutex);                 \
    __tsan_acquire(mutex);       \
  }
#define TRY_LOCK(name)                 \
  bool name(void* mutex) {             \
    REAL(name, bool (*)(void*));       \
    const bool locked = real(mutex);   \
    if (locked) __tsan_acquire(mutex); \
    return locked;                     \
  }
#define UNLOCK(name)             \
  void name(void* mutex) {       \
    REAL(name, void (*)(void*)); \
    __tsan_release(mutex);       \
    IgnoreReads ignore;          \
    real(mutex);                 \
  }
// Gives the mutex up (or has not got it yet), waits, and holds it on return.
#define WAIT(Result, name, mutex, params, args, types) \
  Result name params {                                 \
    REAL(name, Result(*) types);                       \
    __tsan_release(mutex);                             \
    struct Acquire {                                   \
      void* m;                                         \
      ~Acquire() { __tsan_acquire(m); }                \
    } acquire{mutex};                                  \
    IgnoreReads ignore;                                \
    return real args;                                  \
  }

LOCK(_ZN4absl7debian35Mutex4LockEv)
LOCK(_ZN4absl7debian35Mutex10ReaderLockEv)
TRY_LOCK(_ZN4absl7debian35Mutex7TryLockEv)
TRY_LOCK(_ZN4absl7debian35Mutex13ReaderTryLockEv)
UNLOCK(_ZN4absl7debian35Mutex6UnlockEv)
UNLOCK(_ZN4absl7debian35Mutex12ReaderUnlockEv)

using Condition = void;
#define ON_MUTEX(Result, name) \
  WAIT(Result, name, mutex, (void* mutex, Condition* c), (mutex, c), (void*, Condition*))
#define ON_MUTEX_TIMED(name, Limit)                                                    \
  WAIT(bool, name, mutex, (void* mutex, Condition* c, Limit limit), (mutex, c, limit), \
       (void*, Condition*, Limit))
ON_MUTEX(void, _ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE)
ON_MUTEX(void, _ZN4absl7debian35Mutex8LockWhenERKNS0_9ConditionE)
ON_MUTEX(void, _ZN4absl7debian35Mutex14ReaderLockWhenERKNS0_9ConditionE)
ON_MUTEX_TIMED(_ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE,
               absl::Duration)
ON_MUTEX_TIMED(_ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE, absl::Time)
ON_MUTEX_TIMED(_ZN4absl7debian35Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE,
               absl::Duration)
ON_MUTEX_TIMED(_ZN4absl7debian35Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE, absl::Time)

WAIT(void, _ZN4absl7debian37CondVar4WaitEPNS0_5MutexE, mutex, (void* cv, void* mutex), (cv, mutex),
     (void*, void*))
WAIT(bool, _ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE, mutex,
     (void* cv, void* mutex, absl::Duration limit), (cv, mutex, limit),
     (void*, void*, absl::Duration))
WAIT(bool, _ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE, mutex,
     (void* cv, void* mutex, absl::Time limit), (cv, mutex, limit), (void*, void*, absl::Time))

}  // extern "C"

#endif  // __SANITIZE_THREAD__

// MountJournal is what of a mount outlives its client: memory that the supervisor holds and each
// client maps (docs/formats/mount_journal.md). A client that is started after another one's death
// reads here how the kernel was greeted, which session goes on, which mutations had no answer yet
// and what is open.
//
// A client may die between any two stores, so whatever belongs together is written first and named
// last. Only one client at a time is alive. Thread-safe where it says so.
#pragma once

#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "client/mutation_slots.h"

namespace penstock::client {

inline constexpr uint32_t kHandleLimit = 1 << 20;  // open files and directories of one mount

enum HandleFlag : uint32_t {
  kHandleOpen = 1,  // set last, cleared first
  kHandleWrite = 2,
  kHandleDirectory = 4,
  kHandleLost = 8,      // written bytes are lost, and this handle has not said so yet
  kHandleClosing = 16,  // the kernel has given it up
  kHandleAppend = 32,   // O_APPEND
  kHandleNoAtime = 64,  // O_NOATIME
};

// An open file or directory.
struct HandleRecord {
  std::atomic<uint64_t> ino{0};
  std::atomic<uint32_t> generation{0};  // counts the uses of this record
  std::atomic<uint32_t> flags{0};
  // Counts writes that came; of those, which the servers have and the metaserver knows of. Unequal:
  // bytes are lost with this client.
  std::atomic<uint32_t> written{0};
  std::atomic<uint32_t> published{0};
  std::atomic<uint64_t> number{0};   // FileHandle::number, which locks name
  std::atomic<uint64_t> request{0};  // RepeatableRequest::number of the one that opened it

  bool open() const { return (flags.load(std::memory_order_acquire) & kHandleOpen) != 0; }
  bool dirty() const { return written.load() != published.load(); }
};

class MountJournal {
 public:
  // An empty one, as a descriptor that outlives this process when another one holds it, too.
  static absl::StatusOr<int> Create();
  // FAILED_PRECONDITION: not one, torn, or of another version: this program cannot go on with the
  // mount. `fd` stays the caller's.
  static absl::StatusOr<std::unique_ptr<MountJournal>> Open(int fd);
  ~MountJournal();
  MountJournal(const MountJournal&) = delete;
  MountJournal& operator=(const MountJournal&) = delete;

  // The kernel's INIT request and what it was answered; empty before. From one thread.
  struct Greeting {
    std::string request;
    std::string reply;
  };
  absl::Status SetGreeting(const Greeting& greeting);
  absl::StatusOr<Greeting> greeting() const;  // DATA_LOSS: torn

  // The answer that opened the session, serialised. From one thread at a time.
  absl::Status SetSession(std::string_view opened);
  absl::StatusOr<std::string> session() const;

  // Counts the clients: each calls it once. A number of this mount, 2^40 apart from the last one's.
  uint64_t StartClient();

  SlotRecords& slots();
  std::atomic<uint32_t>& next_channel();
  std::atomic<uint32_t>& handles_used();  // records from there on were never used
  HandleRecord& handle(uint32_t index);   // below kHandleLimit

 private:
  struct Text;
  struct Layout;
  explicit MountJournal(Layout* layout) : layout_(layout) {}

  Layout* const layout_;
};

}  // namespace penstock::client

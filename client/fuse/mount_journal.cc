#include "client/fuse/mount_journal.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <new>

#include "common/checksum.h"
#include "common/status.h"

namespace penstock::client {
namespace {

constexpr std::array<char, 8> kMagic = {'P', 'S', 'M', 'O', 'U', 'N', 'T', '\n'};
constexpr uint32_t kVersion = 1;
constexpr size_t kTextBytes = 16 * 1024;

}  // namespace

// A text that is replaced as a whole: the copy that is not in use is written, then named.
struct MountJournal::Text {
  struct Copy {
    uint32_t size;
    uint32_t checksum;
    char bytes[kTextBytes - 8];
  };
  std::atomic<uint32_t> current{0};  // 0: none yet; 1 or 2
  uint32_t reserved = 0;
  Copy copies[2];

  absl::Status Put(std::string_view value);
  absl::StatusOr<std::string> Get() const;
};

absl::Status MountJournal::Text::Put(std::string_view value) {
  if (value.size() > sizeof(Copy::bytes)) {
    return absl::InternalError(absl::StrCat("mount journal: ", value.size(), " bytes do not fit"));
  }
  const uint32_t next = current.load() == 1 ? 2 : 1;
  Copy& copy = copies[next - 1];
  copy.size = static_cast<uint32_t>(value.size());
  copy.checksum = Crc32c(value);
  std::memcpy(copy.bytes, value.data(), value.size());
  current.store(next, std::memory_order_release);
  return absl::OkStatus();
}

absl::StatusOr<std::string> MountJournal::Text::Get() const {
  const uint32_t now = current.load(std::memory_order_acquire);
  if (now == 0) return std::string();
  if (now > 2) return absl::DataLossError("mount journal: no such copy");
  const Copy& copy = copies[now - 1];
  if (copy.size > sizeof(copy.bytes)) return absl::DataLossError("mount journal: a size is wrong");
  std::string value(copy.bytes, copy.size);
  if (Crc32c(value) != copy.checksum) {
    return absl::DataLossError("mount journal: a checksum is wrong");
  }
  return value;
}

struct MountJournal::Layout {
  struct Header {
    std::array<char, 8> magic;
    uint32_t version;
    uint32_t slots;
    uint32_t handles;
    uint32_t handle_bytes;
    uint64_t bytes;
    uint32_t checksum;  // of what stands above
  };
  Header header;
  std::atomic<uint32_t> next_channel{1};
  std::atomic<uint32_t> handles_used{0};
  std::atomic<uint64_t> clients{0};
  Text request;
  Text reply;
  Text session;
  SlotRecords slots;
  HandleRecord handles[kHandleLimit];

  static Header Expected() {
    Header header = {};
    header.magic = kMagic;
    header.version = kVersion;
    header.slots = kMutationSlots;
    header.handles = kHandleLimit;
    header.handle_bytes = sizeof(HandleRecord);
    header.bytes = sizeof(Layout);
    header.checksum = ChecksumOf(header);
    return header;
  }
  static uint32_t ChecksumOf(const Header& header) {
    return Crc32c({reinterpret_cast<const char*>(&header), offsetof(Header, checksum)});
  }
};

namespace {
static_assert(sizeof(HandleRecord) == 40);
static_assert(sizeof(SlotRecord) == 32);
static_assert(std::atomic<uint64_t>::is_always_lock_free);
}  // namespace

absl::StatusOr<int> MountJournal::Create() {
  const int fd = memfd_create("penstock-mount", MFD_CLOEXEC);
  if (fd < 0) return PosixError(errno, "mount journal: memfd_create");
  absl::Cleanup close_it = [fd] { close(fd); };
  // Zeros are an empty journal, the header and the first channel apart; pages come when touched.
  if (ftruncate(fd, sizeof(Layout)) != 0) return PosixError(errno, "mount journal: ftruncate");
  void* at = mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return PosixError(errno, "mount journal: mmap");
  auto* layout = static_cast<Layout*>(at);
  layout->next_channel = 1;
  layout->header = Layout::Expected();
  munmap(at, sizeof(Layout));
  std::move(close_it).Cancel();
  return fd;
}

absl::StatusOr<std::unique_ptr<MountJournal>> MountJournal::Open(int fd) {
  struct stat info = {};
  if (fstat(fd, &info) != 0) return PosixError(errno, "mount journal");
  Layout::Header header = {};
  if (pread(fd, &header, sizeof(header), 0) != static_cast<ssize_t>(sizeof(header)) ||
      header.magic != kMagic) {
    return absl::FailedPreconditionError("mount journal: this is none");
  }
  if (header.checksum != Layout::ChecksumOf(header)) {
    return absl::FailedPreconditionError("mount journal: its header is torn");
  }
  const Layout::Header expected = Layout::Expected();
  if (std::memcmp(&header, &expected, offsetof(Layout::Header, checksum)) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("mount journal: its version is ", header.version, ", this program has ",
                     kVersion, "; unmount and mount again to change the program"));
  }
  if (static_cast<uint64_t>(info.st_size) < header.bytes) {
    return absl::FailedPreconditionError("mount journal: it is cut off");
  }
  void* at = mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return PosixError(errno, "mount journal: mmap");
  return std::unique_ptr<MountJournal>(new MountJournal(static_cast<Layout*>(at)));
}

MountJournal::~MountJournal() { munmap(layout_, sizeof(Layout)); }

absl::Status MountJournal::SetGreeting(const Greeting& greeting) {
  RETURN_IF_ERROR(layout_->request.Put(greeting.request));
  return layout_->reply.Put(greeting.reply);
}

absl::StatusOr<MountJournal::Greeting> MountJournal::greeting() const {
  Greeting greeting;
  ASSIGN_OR_RETURN(greeting.request, layout_->request.Get());
  ASSIGN_OR_RETURN(greeting.reply, layout_->reply.Get());
  return greeting;
}

absl::Status MountJournal::SetSession(std::string_view opened) {
  return layout_->session.Put(opened);
}

absl::StatusOr<std::string> MountJournal::session() const { return layout_->session.Get(); }

uint64_t MountJournal::StartClient() { return (layout_->clients.fetch_add(1) << 40) + 1; }

SlotRecords& MountJournal::slots() { return layout_->slots; }
std::atomic<uint32_t>& MountJournal::next_channel() { return layout_->next_channel; }
std::atomic<uint32_t>& MountJournal::handles_used() { return layout_->handles_used; }
HandleRecord& MountJournal::handle(uint32_t index) { return layout_->handles[index]; }

}  // namespace penstock::client

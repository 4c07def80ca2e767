#include "client/fuse/mount_journal.h"

#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>

namespace penstock::client {
namespace {

struct Descriptor {
  explicit Descriptor(int descriptor) : fd(descriptor) { REQUIRE(fd >= 0); }
  ~Descriptor() { close(fd); }
  const int fd;
};

std::unique_ptr<MountJournal> MustOpen(int fd) {
  auto journal = MountJournal::Open(fd);
  REQUIRE(journal.ok());
  return *std::move(journal);
}

void Overwrite(int fd, off_t at, const std::string& bytes) {
  REQUIRE(pwrite(fd, bytes.data(), bytes.size(), at) == static_cast<ssize_t>(bytes.size()));
}

TEST_CASE("a new journal is empty and keeps what the next client needs", "[client][journal]") {
  const Descriptor memory(*MountJournal::Create());
  {
    const auto journal = MustOpen(memory.fd);
    REQUIRE(journal->greeting()->reply.empty());
    REQUIRE(journal->session()->empty());
    REQUIRE(journal->next_channel().load() == 1);
    REQUIRE(journal->handles_used().load() == 0);
    REQUIRE(!journal->handle(kHandleLimit - 1).open());
    REQUIRE(journal->SetGreeting({"request", "reply"}).ok());
    for (const char* session : {"one", "two", "three"}) REQUIRE(journal->SetSession(session).ok());
    journal->next_channel().fetch_add(41);
    journal->slots()[31].sequence = 7;
    journal->handle(5).flags = kHandleOpen | kHandleWrite;
  }
  const auto journal = MustOpen(memory.fd);
  REQUIRE(journal->greeting()->request == "request");
  REQUIRE(journal->greeting()->reply == "reply");
  REQUIRE(*journal->session() == "three");
  REQUIRE(journal->next_channel().load() == 42);
  REQUIRE(journal->slots()[31].sequence.load() == 7);
  REQUIRE(journal->handle(5).open());
}

TEST_CASE("a session too long for the journal is refused, the one before stays",
          "[client][journal]") {
  const Descriptor memory(*MountJournal::Create());
  const auto journal = MustOpen(memory.fd);
  REQUIRE(journal->SetSession("before").ok());
  REQUIRE(!journal->SetSession(std::string(1 << 20, 'x')).ok());
  REQUIRE(*journal->session() == "before");
}

TEST_CASE("what is no journal, torn, cut off or of another version is refused",
          "[client][journal]") {
  const Descriptor none(memfd_create("none", MFD_CLOEXEC));
  REQUIRE(absl::IsFailedPrecondition(MountJournal::Open(none.fd).status()));
  const Descriptor memory(*MountJournal::Create());
  SECTION("no magic") { Overwrite(memory.fd, 0, "X"); }
  SECTION("another version") { Overwrite(memory.fd, 8, "\x02"); }
  SECTION("other sizes") { Overwrite(memory.fd, 16, "\x01"); }
  SECTION("cut off") { REQUIRE(ftruncate(memory.fd, 4096) == 0); }
  REQUIRE(absl::IsFailedPrecondition(MountJournal::Open(memory.fd).status()));
}

TEST_CASE("a text that was changed is refused", "[client][journal]") {
  const Descriptor memory(*MountJournal::Create());
  const auto journal = MustOpen(memory.fd);
  const std::string text = "a session that is easily found";
  REQUIRE(journal->SetSession(text).ok());
  std::string all(256 * 1024, '\0');
  REQUIRE(pread(memory.fd, all.data(), all.size(), 0) == static_cast<ssize_t>(all.size()));
  const size_t at = all.find(text);
  REQUIRE(at != std::string::npos);
  Overwrite(memory.fd, static_cast<off_t>(at), "A");
  REQUIRE(absl::IsDataLoss(journal->session().status()));
}

}  // namespace
}  // namespace penstock::client

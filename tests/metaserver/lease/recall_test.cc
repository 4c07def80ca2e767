// Two sessions of one namespace: what one has cached is taken back before the other changes it.
#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <catch2/catch.hpp>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <thread>

#include "common/status.h"
#include "metaserver/ops/mutations.h"
#include "metaserver/ops/read_operations.h"
#include "tests/metaserver/namespace_fixture.h"
#include "tests/testing/must.h"

namespace penstock::metaserver {
namespace {

using testing::Must;

struct Fixture {
  Fixture() : fs({"/d/", "/d/f"}), reader(fs.OpenSession("node2")) {
    fs.names().EnterSession(fs.session());
    fs.names().EnterSession(reader);
  }
  wire::EntryResponse Look(const std::string& name) {
    wire::LookupRequest request;
    request.mutable_context()->set_session_id(reader.value());
    request.set_parent(fs.InoOf("/d"));
    request.set_name(name);
    request.set_absent_is_ok(true);
    auto response = fs.names().Read(Lookup, request);
    REQUIRE(response.ok());
    return *response;
  }
  // The next event of the reader, which must come soon.
  wire::SessionEvent NextEvent() { return NextEventOf(reader); }
  wire::SessionEvent NextEventOf(SessionId session) {
    // An answer may come on another thread, and late.
    struct Answer {
      absl::Mutex mu;
      wire::SessionEvent event ABSL_GUARDED_BY(mu);
    };
    const auto answer = std::make_shared<Answer>();
    wire::SessionEvent event;
    const absl::Time until = absl::Now() + absl::Seconds(10);
    while (event.number() == 0 && absl::Now() < until) {
      wire::SessionEventsRequest request;
      request.set_session_id(session.value());
      request.set_received(received[session]);
      request.set_wait_ms(1);
      fs.names().PollEvents(request, [answer](absl::StatusOr<wire::SessionEventsResponse> events) {
        absl::MutexLock lock(&answer->mu);
        if (events.ok() && events->events_size() > 0) answer->event = events->events(0);
      });
      absl::SleepFor(absl::Milliseconds(1));  // the other thread is about to get there
      fs.clock().Advance(absl::Milliseconds(2));
      fs.names().Tick();
      absl::MutexLock lock(&answer->mu);
      event = answer->event;
    }
    REQUIRE(event.number() != 0);
    received[session] = event.number();
    return event;
  }
  void Acknowledge(uint64_t number, std::vector<uint64_t> open = {}) {
    AcknowledgeAs(reader, number, std::move(open));
  }
  void AcknowledgeAs(SessionId session, uint64_t number, std::vector<uint64_t> open = {}) {
    wire::SessionEventsRequest request;
    request.set_session_id(session.value());
    wire::EventAck* ack = request.add_acks();
    ack->set_number(number);
    ack->set_hold_version(1);
    for (uint64_t ino : open) ack->add_opened(ino);
    fs.names().PollEvents(request, [](absl::StatusOr<wire::SessionEventsResponse>) {});
  }
  NamespaceFixture fs;
  const SessionId reader;
  std::map<SessionId, uint64_t> received;
};

// /d/f is being truncated to 100 bytes. Of two sessions that have it in memory the reader has
// dropped it, the third has not answered.
struct HalfAnswered : Fixture {
  HalfAnswered() : ino(Look("f").entry().attr().ino()), third(fs.OpenSession("node3")) {
    fs.Report(fs.session());  // it has closed what it made
    fs.names().EnterSession(third);
    wire::LookupRequest look;
    look.mutable_context()->set_session_id(third.value());
    look.set_parent(fs.InoOf("/d"));
    look.set_name("f");
    REQUIRE(fs.names().Read(Lookup, look).ok());
    cutter = std::thread([this] { Must(fs.Truncate("/d/f", 100).ok()); });
    const wire::SessionEvent event = NextEvent();
    REQUIRE(event.inodes(0).data());
    Acknowledge(event.number());
  }
  void ThirdAnswers() { AcknowledgeAs(third, NextEventOf(third).number()); }
  // The reader opens the file; the size that it is given.
  std::future<uint64_t> Open() {
    return std::async(std::launch::async, [this] {
      wire::OpenRequest request;
      request.mutable_context()->set_session_id(reader.value());
      request.set_ino(ino);
      auto opened = fs.names().Mutate(metaserver::Open, request);
      Must(opened.ok());
      return opened->entry().attr().size();
    });
  }
  const uint64_t ino;
  const SessionId third;
  std::thread cutter;
};

TEST_CASE("a cached name is recalled before it is removed, and not granted meanwhile",
          "[metaserver][lease]") {
  Fixture f;
  const wire::EntryResponse found = f.Look("f");
  REQUIRE(found.name_leased());
  REQUIRE(found.entry().leased_by() == f.fs.InoOf("/d"));
  std::atomic<bool> removed{false};
  std::thread remover([&] {
    Must(f.fs.Unlink("/d/f").ok());
    removed = true;
  });
  const wire::SessionEvent event = f.NextEvent();
  REQUIRE(event.names_size() == 1);
  REQUIRE(event.names(0).name() == "f");
  REQUIRE_FALSE(removed);
  const wire::EntryResponse meanwhile = f.Look("f");
  REQUIRE(meanwhile.entry().attr().ino() == found.entry().attr().ino());
  REQUIRE_FALSE(meanwhile.name_leased());
  REQUIRE(meanwhile.entry().leased_by() == 0);
  f.Acknowledge(event.number());
  remover.join();
  const wire::EntryResponse after = f.Look("f");
  REQUIRE(after.entry().attr().ino() == 0);
  REQUIRE(after.name_leased());  // that there is none
}

TEST_CASE("a session that does not answer loses its leases after the timeout",
          "[metaserver][lease]") {
  Fixture f;
  REQUIRE(f.Look("f").name_leased());
  const uint64_t before = f.fs.names().leases().generation(f.reader);
  std::thread remover([&] { Must(f.fs.Unlink("/d/f").ok()); });
  f.NextEvent();
  f.fs.clock().Advance(absl::Seconds(9));
  f.fs.names().Tick();
  REQUIRE(f.fs.names().leases().generation(f.reader) == before);
  f.fs.clock().Advance(absl::Seconds(2));
  f.fs.names().Tick();
  remover.join();
  REQUIRE(f.fs.names().leases().generation(f.reader) != before);
  // It is told with its next heartbeat, and keeps nothing before it knows.
  wire::SessionHeartbeatRequest beat;
  beat.set_session_id(f.reader.value());
  beat.set_lease_generation(before);
  wire::SessionHeartbeatResponse answer;
  REQUIRE(f.fs.names().Heartbeat(beat, answer).ok());
  REQUIRE_FALSE(answer.keeps_leases());
  REQUIRE(answer.lease_generation() != before);
}

TEST_CASE("a change that waits when a later client goes on is left to that one",
          "[metaserver][lease]") {
  Fixture f;
  REQUIRE(f.Look("f").name_leased());
  wire::UnlinkRequest request;
  *request.mutable_context() = f.fs.Context();
  request.mutable_context()->set_client(1);
  request.set_parent(f.fs.InoOf("/d"));
  request.set_name("f");
  absl::Status status;
  auto unlink = [&] { status = f.fs.names().Mutate(Unlink, request).status(); };
  std::thread earlier(unlink);
  const uint64_t asked = f.NextEvent().number();
  wire::ResumeSessionRequest resume;
  resume.set_session_id(f.fs.session().value());
  resume.set_client(2);
  wire::ResumeSessionResponse resumed;
  REQUIRE(f.fs.names().ResumeSession(resume, resumed).ok());
  f.Acknowledge(asked);
  earlier.join();
  REQUIRE(absl::IsAborted(status));
  REQUIRE(f.Look("f").name_leased());  // it is still there

  request.mutable_context()->set_client(2);  // the same request: nothing was its result
  std::thread later(unlink);
  f.Acknowledge(f.NextEvent().number());
  later.join();
  REQUIRE(status.ok());
  REQUIRE(f.Look("f").entry().attr().ino() == 0);
}

TEST_CASE("a reader that has the file open makes its new writer share it", "[metaserver][lease]") {
  Fixture f;
  const uint64_t ino = f.Look("f").entry().attr().ino();
  wire::OpenRequest request;
  *request.mutable_context() = f.fs.Context();
  request.set_ino(ino);
  request.set_write(true);
  absl::StatusOr<wire::EntryResponse> opened = absl::UnknownError("not yet");
  std::thread writer([&] { opened = f.fs.names().Mutate(Open, request); });
  const wire::SessionEvent event = f.NextEvent();
  REQUIRE(event.inodes_size() == 1);
  f.Acknowledge(event.number(), {ino});
  writer.join();
  REQUIRE(opened.ok());
  REQUIRE(opened->entry().shared());
  REQUIRE(f.Look("f").entry().leased_by() == 0);  // somebody writes it
}

TEST_CASE("a writer is told before a second session opens the file", "[metaserver][lease]") {
  Fixture f;
  const uint64_t ino = f.fs.InoOf("/d/f");
  f.fs.Report(f.fs.session());  // it has closed what it made
  wire::OpenRequest request;
  request.mutable_context()->set_session_id(f.reader.value());  // this one writes first
  request.set_ino(ino);
  request.set_write(true);
  REQUIRE(f.fs.names().Mutate(Open, request).ok());
  *request.mutable_context() = f.fs.Context();
  std::atomic<bool> opened{false};
  std::thread second([&] {
    auto response = f.fs.names().Mutate(Open, request);
    Must(response.ok());
    Must(response->entry().shared());
    opened = true;
  });
  const wire::SessionEvent event = f.NextEvent();
  REQUIRE(event.shared_size() == 1);
  REQUIRE_FALSE(opened);
  f.Acknowledge(event.number());
  second.join();
  // Truncating now takes the turn.
  auto cut = f.fs.Truncate("/d/f", 100);
  REQUIRE(ReasonOf(cut.status()) == Reason::kFileShared);
  f.fs.names().shared_writes().Begin({f.fs.session()}, InodeNumber(ino), [] {});
  std::thread truncater([&] { cut = f.fs.Truncate("/d/f", 100); });
  const wire::SessionEvent pages = f.NextEvent();  // the other one drops its pages first
  REQUIRE(pages.inodes_size() == 1);
  REQUIRE(pages.inodes(0).data());
  f.Acknowledge(pages.number());
  truncater.join();
  REQUIRE(cut.ok());
}

TEST_CASE("who has dropped the bytes opens the file when they are changed", "[metaserver][lease]") {
  HalfAnswered f;
  std::future<uint64_t> opened = f.Open();
  f.ThirdAnswers();
  f.cutter.join();
  REQUIRE(opened.get() == 100);
}

TEST_CASE("who has been kept waiting for new bytes gets the old ones and is told again",
          "[metaserver][lease]") {
  HalfAnswered f;
  std::future<uint64_t> opened = f.Open();
  while (opened.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
    f.fs.clock().Advance(absl::Milliseconds(10));
    f.fs.names().Tick();
  }
  REQUIRE(opened.get() == 0);
  f.ThirdAnswers();
  const wire::SessionEvent again = f.NextEvent();
  REQUIRE(again.inodes(0).ino() == f.ino);
  f.Acknowledge(again.number());
  f.cutter.join();
}

TEST_CASE("a record asked for while its file's bytes are changed comes with the new ones",
          "[metaserver][lease]") {
  HalfAnswered f;
  std::optional<uint64_t> size;
  f.fs.names().AfterDataChanges(InodeNumber(f.ino), f.reader,
                                [&] { size = f.Look("f").entry().attr().size(); });
  REQUIRE_FALSE(size.has_value());
  bool asked = false;  // who has not answered may hold the page that it has to drop
  f.fs.names().AfterDataChanges(InodeNumber(f.ino), f.third, [&] { asked = true; });
  REQUIRE(asked);
  f.ThirdAnswers();
  f.cutter.join();
  REQUIRE(size == 100);
}

TEST_CASE("what an own change answers is not kept while another change of it waits",
          "[metaserver][lease]") {
  HalfAnswered f;
  wire::SetattrRequest read;  // as reading sets it: nobody is told
  read.mutable_context()->set_session_id(f.reader.value());
  read.mutable_context()->set_sequence(1);
  read.set_ino(f.ino);
  read.set_fields(wire::SETATTR_ATIME_READ);
  read.mutable_atime()->set_seconds(2'000'000'000);
  auto answer = f.fs.names().Mutate(Setattr, read);
  REQUIRE(answer.ok());
  REQUIRE(answer->entry().attr().size() == 0);
  REQUIRE(answer->entry().leased_by() == 0);
  f.ThirdAnswers();
  f.cutter.join();
  read.mutable_context()->set_sequence(2);
  REQUIRE(f.fs.names().Mutate(Setattr, read)->entry().leased_by() != 0);
}

TEST_CASE("a reader that asks all the time does not put a change off for ever",
          "[metaserver][lease]") {
  Fixture f;
  const uint64_t ino = f.Look("f").entry().attr().ino();
  f.fs.Report(f.fs.session());
  wire::OpenRequest open;
  open.mutable_context()->set_session_id(f.reader.value());
  open.set_ino(ino);
  REQUIRE(f.fs.names().Mutate(Open, open).ok());
  std::atomic<bool> over{false};
  std::thread cutter([&] {
    Must(f.fs.Truncate("/d/f", 100).ok());
    over = true;
  });
  int told = 0;
  uint64_t size = 0;
  while (size == 0) {
    const wire::SessionEvent event = f.NextEvent();
    REQUIRE(++told < 20);
    REQUIRE_FALSE(over);  // it ends when the reader has heard that it was applied
    f.fs.names().AfterDataChanges(InodeNumber(ino), f.reader,
                                  [&] { size = f.Look("f").entry().attr().size(); });
    f.Acknowledge(event.number());
  }
  cutter.join();
  REQUIRE(size == 100);
}

TEST_CASE("after a restart nothing is changed before every session has reported",
          "[metaserver][lease]") {
  Fixture f;
  f.fs.Reopen();
  REQUIRE(absl::IsAborted(f.fs.Unlink("/d/f").status()));
  f.fs.Report(f.fs.session());
  REQUIRE(absl::IsAborted(f.fs.Unlink("/d/f").status()));
  wire::SessionHeartbeatRequest beat;
  beat.set_session_id(f.reader.value());
  beat.set_lease_generation(77);
  beat.set_whole(true);
  beat.add_leases(f.fs.InoOf("/d"));
  wire::SessionHeartbeatResponse answer;
  REQUIRE(f.fs.names().Heartbeat(beat, answer).ok());
  REQUIRE(answer.keeps_leases());
  REQUIRE(answer.lease_generation() == 77);
  std::thread remover([&] { Must(f.fs.Unlink("/d/f").ok()); });
  const wire::SessionEvent event = f.NextEvent();  // its lease lived on
  f.Acknowledge(event.number());
  remover.join();
}

TEST_CASE("after a restart a session that stays away is waited for one timeout",
          "[metaserver][lease]") {
  Fixture f;
  f.fs.Reopen();
  f.fs.Report(f.fs.session());
  REQUIRE(absl::IsAborted(f.fs.Unlink("/d/f").status()));
  f.fs.clock().Advance(absl::Seconds(11));
  REQUIRE(f.fs.Unlink("/d/f").ok());
}

}  // namespace
}  // namespace penstock::metaserver

#include "tests/common/net/rpc_fixture.h"

namespace penstock::net {
namespace {

TEST_CASE("a typed call gets its typed answer", "[net][rpc]") {
  RpcFixture fixture;
  auto client = fixture.NewClient();
  std::string back;
  REQUIRE(RpcFixture::CallEcho(*client, "", &back) == absl::OkStatus());
  REQUIRE(back == "n");
  REQUIRE(client->transport_name() == fixture.transport.name());
  REQUIRE(client->open_connections() == 1);
  for (int i = 0; i < 100; ++i) REQUIRE(RpcFixture::CallEcho(*client, "x") == absl::OkStatus());
  REQUIRE(client->open_connections() == 1);
  REQUIRE(fixture.server->counters().requests == 101);
}

TEST_CASE("ping is answered by the server itself", "[net][rpc]") {
  RpcFixture fixture;
  auto client = fixture.NewClient();
  wire::PingResponse response;
  REQUIRE(client->Call(wire::METHOD_PING, wire::PingRequest(), &response, {}) == absl::OkStatus());
  REQUIRE(response.program() == "test");
  REQUIRE(response.version() == PENSTOCK_VERSION);
}

TEST_CASE("an error keeps its code, errno, reason and text", "[net][rpc]") {
  RpcFixture fixture;
  auto client = fixture.NewClient();
  wire::ReadlinkRequest request;
  for (int err : {ENOENT, ENOTEMPTY, EISDIR, ENOTDIR, EXDEV, ENAMETOOLONG}) {
    request.set_ino(static_cast<uint64_t>(err));
    wire::ReadlinkResponse response;
    absl::Status status = client->Call(wire::METHOD_READLINK, request, &response, {});
    REQUIRE(ErrnoOf(status) == err);
    REQUIRE(AttachedErrno(status) == err);
    REQUIRE(status.code() == PosixError(err, "").code());
    REQUIRE(ReasonOf(status) == Reason::kTruncating);
    REQUIRE(status.message() == "as told");
  }
  REQUIRE(client->open_connections() == 1);  // an error does not cost the connection
}

TEST_CASE("an unknown method is UNIMPLEMENTED with its reason", "[net][rpc]") {
  RpcFixture fixture;
  auto client = fixture.NewClient();
  wire::PingResponse response;
  absl::Status status = client->Call(wire::METHOD_RENAME, wire::PingRequest(), &response, {});
  REQUIRE(absl::IsUnimplemented(status));
  REQUIRE(ReasonOf(status) == Reason::kUnknownMethod);
  REQUIRE(RpcFixture::CallEcho(*client, "still there") == absl::OkStatus());
}

TEST_CASE("a request dropped by its handler is answered INTERNAL", "[net][rpc]") {
  RpcFixture fixture;
  auto client = fixture.NewClient();
  wire::StatfsResponse response;
  REQUIRE(
      absl::IsInternal(client->Call(wire::METHOD_STATFS, wire::StatfsRequest(), &response, {})));
}

TEST_CASE("a message that cannot be parsed is INVALID_ARGUMENT", "[net][rpc]") {
  RpcFixture fixture;
  auto client = fixture.NewClient();
  wire::GetxattrRequest request;
  wire::Prove garbage;
  garbage.set_proof("\xff\xff\xff");
  wire::GetxattrResponse response;
  REQUIRE(absl::IsInvalidArgument(client->Call(wire::METHOD_GETXATTR, garbage, &response, {})));
}

TEST_CASE("payloads of every size go both ways unchanged", "[net][rpc]") {
  RpcFixture fixture;
  auto client = fixture.NewClient();
  for (size_t size :
       {0, 1, 47, 48, 100, 3999, 4000, 4096, 4097, 65536, 1 << 20, (4 << 20) + 7, 64 << 20}) {
    INFO("size " << size);
    REQUIRE(RpcFixture::CallEcho(*client, Pattern(size)) == absl::OkStatus());
  }
  REQUIRE(client->open_connections() == 1);
}

TEST_CASE("payloads are gathered from and scattered into several buffers", "[net][rpc]") {
  RpcFixture fixture;
  auto client = fixture.NewClient();
  std::vector<std::string> out, in;
  std::vector<iovec> out_parts, in_parts;
  std::string expected;
  for (size_t i = 0; i < 200; ++i) {
    out.push_back(Pattern(i * 37 % 5000, static_cast<uint32_t>(i)));
    expected += out.back();
  }
  for (size_t left = expected.size(); left > 0;) {
    const size_t take = std::min<size_t>(left, 1777);
    in.emplace_back(take, '\0');
    left -= take;
  }
  for (auto& s : out) out_parts.push_back(Piece(s));
  for (auto& s : in) in_parts.push_back(Piece(s));
  wire::GetxattrRequest request;
  wire::GetxattrResponse response;
  size_t received = 0;
  REQUIRE(client->Call(wire::METHOD_GETXATTR, request, &response, {}, out_parts, in_parts,
                       &received) == absl::OkStatus());
  REQUIRE(received == expected.size());
  std::string got;
  for (auto& s : in) got += s;
  REQUIRE(got == expected);
}

TEST_CASE("a reply's payload longer than the caller's buffers is DATA_LOSS", "[net][rpc]") {
  RpcFixture fixture;
  auto client = fixture.NewClient();
  std::string payload = Pattern(1000), into(999, '\0');
  const iovec out = Piece(payload), in = Piece(into);
  wire::GetxattrResponse response;
  size_t received = 7;
  REQUIRE(absl::IsDataLoss(client->Call(wire::METHOD_GETXATTR, wire::GetxattrRequest(), &response,
                                        {}, {&out, 1}, {&in, 1}, &received)));
  REQUIRE(received == 0);
  REQUIRE(client->open_connections() == 0);
  REQUIRE(RpcFixture::CallEcho(*client, "again") == absl::OkStatus());
}

TEST_CASE("a shorter reply than the buffers says how much came", "[net][rpc]") {
  RpcFixture fixture;
  auto client = fixture.NewClient();
  std::string payload = Pattern(1000), into(4000, 'z');
  const iovec out = Piece(payload), in = Piece(into);
  wire::GetxattrResponse response;
  size_t received = 0;
  REQUIRE(client->Call(wire::METHOD_GETXATTR, wire::GetxattrRequest(), &response, {}, {&out, 1},
                       {&in, 1}, &received) == absl::OkStatus());
  REQUIRE(received == 1000);
  REQUIRE(into.substr(0, 1000) == payload);
  REQUIRE(into[1000] == 'z');
}

TEST_CASE("several calls are in flight, and may be finished in any order", "[net][rpc]") {
  RpcFixture fixture;
  auto client = fixture.NewClient();
  std::vector<PendingCall> calls;
  for (uint64_t i = 0; i < 8; ++i) {
    wire::GetattrRequest request;
    request.set_ino(100 + i);
    auto call = client->Start(wire::METHOD_GETATTR, request, {});
    REQUIRE(call.ok());
    calls.push_back(std::move(*call));
  }
  fixture.WaitForParked(8);
  REQUIRE(client->open_connections() == 8);
  fixture.AnswerParked();
  for (size_t i = 8; i-- > 0;) {
    wire::EntryResponse response;
    REQUIRE(calls[i].Finish(&response) == absl::OkStatus());
    REQUIRE(response.entry().attr().ino() == 100 + i);
    REQUIRE(absl::IsFailedPrecondition(calls[i].Finish(&response)));  // only once
  }
}

TEST_CASE("a call answered from another thread later arrives", "[net][rpc]") {
  RpcFixture fixture;
  auto client = fixture.NewClient();
  for (size_t size : {0, 5, 1 << 20, 16 << 20}) {
    std::string payload = Pattern(size), into(size, '\0');
    const iovec out = Piece(payload), in = Piece(into);
    wire::ListxattrResponse response;
    size_t received = 0;
    REQUIRE(client->Call(wire::METHOD_LISTXATTR, wire::ListxattrRequest(), &response, {}, {&out, 1},
                         {&in, 1}, &received) == absl::OkStatus());
    REQUIRE(response.names(0) == "later");
    REQUIRE(into == payload);
  }
}

TEST_CASE("the server sees the deadline, the peer and its role", "[net][rpc]") {
  RpcFixture fixture;
  RpcClientOptions options;
  options.role = wire::ROLE_CHUNKSERVER;
  auto client = fixture.NewClient(options);
  auto call = client->Start(wire::METHOD_GETATTR, wire::GetattrRequest(),
                            {.timeout = absl::Seconds(7), .interrupt = nullptr});
  REQUIRE(call.ok());
  fixture.WaitForParked(1);
  {
    absl::MutexLock lock(&fixture.mu);
    ServerCallContext& context = fixture.parked[0]->context();
    REQUIRE(context.peer_role() == wire::ROLE_CHUNKSERVER);
    const std::string host = OverRdma() ? TestHosts().client : "127.0.0.1";
    REQUIRE(context.peer_address().substr(0, host.size() + 1) == host + ":");
    const absl::Duration left = context.deadline() - absl::Now();
    REQUIRE(left < absl::Seconds(7.1));
    REQUIRE(left > absl::Seconds(2));
    REQUIRE(context.connection_alive());
  }
  fixture.AnswerParked();
  wire::EntryResponse response;
  REQUIRE(call->Finish(&response) == absl::OkStatus());
}

}  // namespace
}  // namespace penstock::net

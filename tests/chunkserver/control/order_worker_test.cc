#include "chunkserver/control/order_worker.h"

#include <catch2/catch.hpp>

#include "chunkserver/chain/chunk_wire.h"
#include "common/checksum.h"
#include "common/status.h"
#include "tests/chunkserver/control/fake_cluster.h"
#include "tests/chunkserver/service/chain_fixture.h"

namespace penstock::chunkserver {
namespace {

OrderWorker WorkerOf(ChainMember& member) {
  return OrderWorker(OrderWorker::Parts{&member.map, member.targets.get(), member.chain.get(),
                                        &member.locks, member.peers.get()});
}

// The layout of ChainFixture's chunks, in chunks of 4 KiB.
wire::Layout LayoutOf() {
  wire::Layout layout;
  layout.set_content_id(4711);
  layout.set_seed(12345);
  layout.set_chunk_size_log2(12);
  layout.set_storage_class(1);
  return layout;
}

TEST_CASE("a content is dropped from this server alone, what is pending included",
          "[chunkserver][orders]") {
  ChainFixture chain(2);
  for (uint32_t i = 0; i < 3; ++i) REQUIRE(chain.Write(i, "data").code() == 0);
  chain.StopMember(1);
  REQUIRE(chain.Write(1, "pending").code() != 0);
  chain.StartMember(1);
  wire::DeleteContent order;
  *order.mutable_layout() = LayoutOf();
  order.set_chunk_count(5);
  OrderWorker worker = WorkerOf(chain.member(0));
  REQUIRE(worker.DeleteContent(order).ok());
  REQUIRE(worker.DeleteContent(order).ok());  // it may be asked for again
  for (uint32_t i = 0; i < 3; ++i) {
    REQUIRE(chain.Read(0, i) == "<absent>");
    REQUIRE(chain.Read(1, i) == "data");
    REQUIRE(FromWire(chain.Stat(0, i).pending()) == ChunkVersion{});
    // A write that comes late does not bring it back.
    REQUIRE(chain.Write(i, "late").reason() == static_cast<uint32_t>(Reason::kContentChanged));
  }
}

TEST_CASE("a huge content of few chunks is found by looking through the target",
          "[chunkserver][orders]") {
  ChainFixture chain(1);
  for (uint32_t i : {0u, 7u, 4'000'000'000u}) REQUIRE(chain.Write(i, "data").code() == 0);
  ChunkStore& store = *chain.member(0).targets->all().front()->store;
  const ChunkKey other{1, ContentId(99), 3};
  ChunkChange change;
  const std::string kept = "kept";
  change.data = kept;
  change.crc32c = Crc32c(kept);
  const ChunkVersion version{1, *store.NextSequence()};
  REQUIRE(store.Stage(other, version, change) == absl::OkStatus());
  REQUIRE(store.Commit(other, version).ok());
  wire::DeleteContent order;
  *order.mutable_layout() = LayoutOf();
  order.set_chunk_count(uint64_t{1} << 32);
  OrderWorker worker = WorkerOf(chain.member(0));
  REQUIRE(worker.DeleteContent(order).ok());
  for (uint32_t i : {0u, 7u, 4'000'000'000u}) REQUIRE(chain.Read(0, i) == "<absent>");
  REQUIRE(store.Stat(other)->exists());
}

TEST_CASE("a truncation cuts the boundary chunk and drops those above, on all members",
          "[chunkserver][orders]") {
  ChainFixture chain(2);
  for (uint32_t i = 0; i < 4; ++i) REQUIRE(chain.Write(i, std::string(4096, 'x')).code() == 0);
  wire::TruncateContent order;
  *order.mutable_layout() = LayoutOf();
  order.set_new_size(4096 + 100);
  order.set_old_size(4 * 4096);
  OrderWorker head = WorkerOf(chain.member(0));
  OrderWorker tail = WorkerOf(chain.member(1));
  REQUIRE(tail.TruncateContent(order).ok());  // no head of anything here: nothing to do
  REQUIRE(chain.Read(0, 3).size() == 4096);
  REQUIRE(head.TruncateContent(order).ok());
  REQUIRE(head.TruncateContent(order).ok());
  for (int member : {0, 1}) {
    REQUIRE(chain.Read(member, 0).size() == 4096);
    REQUIRE(chain.Read(member, 1).size() == 100);
    REQUIRE(chain.Read(member, 2) == "<absent>");
    REQUIRE(chain.Read(member, 3) == "<absent>");
  }
}

TEST_CASE("a deletion is not done on a target that copies from others, nor undone by that",
          "[chunkserver][orders]") {
  ChainFixture chain(2);
  REQUIRE(chain.Write(0, "data").code() == 0);
  chain.NewEpoch({0}, {1});
  wire::DeleteContent order;
  *order.mutable_layout() = LayoutOf();
  order.set_chunk_count(1);
  OrderWorker worker = WorkerOf(chain.member(1));
  REQUIRE(absl::IsAborted(worker.DeleteContent(order)));
  chain.StartSync(1);
  REQUIRE(Eventually([&] { return chain.Synced(1); }));
  REQUIRE(!chain.member(1).store().Stat(chain.Key(0))->exists());
  REQUIRE(chain.Read(0, 0) == "data");  // has not been told
  chain.NewEpoch({0, 1});
  REQUIRE(worker.DeleteContent(order).ok());
}

TEST_CASE("an absent target does not keep the open ones from a deletion", "[chunkserver][orders]") {
  ChainFixture chain(1);
  REQUIRE(chain.Write(0, "data").code() == 0);
  std::vector<std::unique_ptr<Target>> all;
  all.push_back(std::make_unique<Target>(SystemClock()));
  all.push_back(std::make_unique<Target>(SystemClock()));
  all[0]->problem = "absent";
  all[1]->id = 1;
  ChainMember& member = chain.member(0);
  std::unique_ptr<ChunkStore>& store = member.targets->all().front()->store;
  all[1]->store = std::move(store);
  Targets targets(std::move(all));
  OrderWorker worker(OrderWorker::Parts{&member.map, &targets, member.chain.get(), &member.locks,
                                        member.peers.get()});
  wire::DeleteContent order;
  *order.mutable_layout() = LayoutOf();
  order.set_chunk_count(1);
  REQUIRE(worker.DeleteContent(order).ok());
  store = std::move(targets.all()[1]->store);
  REQUIRE(chain.Read(0, 0) == "<absent>");
  order.set_chunk_count(uint64_t{1} << 33);
  REQUIRE(absl::IsInvalidArgument(worker.DeleteContent(order)));
}

TEST_CASE("a target that was removed from the cluster has no part in a deletion",
          "[chunkserver][orders]") {
  ChainFixture chain(1);
  REQUIRE(chain.Write(0, "data").code() == 0);
  chain.member(0).targets->all().front()->removed = true;  // its disk may fail
  wire::DeleteContent order;
  *order.mutable_layout() = LayoutOf();
  order.set_chunk_count(1);
  REQUIRE(WorkerOf(chain.member(0)).DeleteContent(order).ok());
  chain.member(0).targets->all().front()->removed = false;
  REQUIRE(chain.Read(0, 0) == "data");
}

TEST_CASE("what is done while a heartbeat is under way is told by the next one",
          "[chunkserver][orders]") {
  ChainFixture chain(1);
  OrderWorker worker = WorkerOf(chain.member(0));
  worker.Start();
  std::vector<wire::Order> orders(2);
  orders[0].set_order_id(9);
  *orders[0].mutable_delete_content()->mutable_layout() = LayoutOf();
  orders[1].set_order_id(10);
  *orders[1].mutable_truncate_content()->mutable_layout() = LayoutOf();
  worker.Take(orders, {});
  const std::vector<uint64_t> both = {9, 10};
  REQUIRE(Eventually([&] { return worker.done() == both; }));
  worker.Take({}, {});  // its heartbeat had left before
  REQUIRE(worker.done() == both);
  worker.Take({orders[0]}, both);  // one is asked for once more
  REQUIRE(worker.done() == std::vector<uint64_t>{9});
  worker.Take({}, both);
  REQUIRE(worker.done().empty());
}

TEST_CASE("a former member drops a group's chunks, only at the order's very epoch",
          "[chunkserver][orders]") {
  ChainFixture chain(2);
  for (uint32_t i = 0; i < 12; ++i) REQUIRE(chain.Write(i, "data").code() == 0);
  OrderWorker worker = WorkerOf(chain.member(1));
  wire::DropGroup order;
  order.set_storage_class(1);
  order.set_group(chain.Key(0).position & 3);
  order.set_epoch(chain.epoch());
  order.set_target_id(2);
  REQUIRE(!worker.DropGroup(order).ok());  // still a member
  chain.NewEpoch({0});
  REQUIRE(!worker.DropGroup(order).ok());  // an order of the time before
  order.set_epoch(chain.epoch() + 1);
  REQUIRE(!worker.DropGroup(order).ok());  // this server does not know that epoch yet
  ChunkStore& store = chain.member(1).store();
  REQUIRE(store.Stat(chain.Key(0))->exists());
  order.set_epoch(chain.epoch());
  REQUIRE(worker.DropGroup(order).ok());
  REQUIRE(worker.DropGroup(order).ok());
  for (uint32_t i = 0; i < 12; ++i) {
    const bool in_group = (chain.Key(i).position & 3) == order.group();
    REQUIRE(store.Stat(chain.Key(i))->exists() == !in_group);
    REQUIRE(chain.Read(0, i) == "data");
  }
}

TEST_CASE("an order that cannot be done now is not done", "[chunkserver][orders]") {
  ChainFixture chain(2);
  REQUIRE(chain.Write(0, std::string(4096, 'x')).code() == 0);
  chain.StopMember(1);
  wire::TruncateContent order;
  *order.mutable_layout() = LayoutOf();
  order.set_new_size(10);
  order.set_old_size(4096);
  OrderWorker worker = WorkerOf(chain.member(0));
  REQUIRE(!worker.TruncateContent(order).ok());
  chain.StartMember(1);
  REQUIRE(worker.TruncateContent(order).ok());
  REQUIRE(chain.Read(1, 0).size() == 10);
  order.mutable_layout()->set_chunk_size_log2(0);
  REQUIRE(absl::IsInvalidArgument(worker.TruncateContent(order)));
}

}  // namespace
}  // namespace penstock::chunkserver

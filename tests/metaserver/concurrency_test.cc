#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "common/status.h"
#include "metaserver/ops/mutations.h"
#include "tests/metaserver/namespace_fixture.h"

namespace penstock::metaserver {
namespace {

constexpr int kThreads = 8;

template <typename Work>
void InThreads(Work work) {
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) threads.emplace_back([t, &work] { work(t); });
  for (std::thread& thread : threads) thread.join();
}

wire::MetaContext ContextOf(const NamespaceFixture& fs) {
  wire::MetaContext context;
  context.set_session_id(fs.session().value());
  return context;
}

}  // namespace

TEST_CASE("creates in one directory by eight threads all count", "[metaserver][concurrency]") {
  NamespaceFixture fs({"/d/"});
  const uint64_t parent = fs.InoOf("/d");
  std::atomic<int> made{0}, existed{0};
  InThreads([&](int t) {
    for (int i = 0; i < 200; ++i) {
      wire::CreateRequest request;
      *request.mutable_context() = ContextOf(fs);
      request.set_parent(parent);
      // Every second name is wanted by two threads.
      request.set_name(i % 2 == 0 ? std::to_string(t) + "-" + std::to_string(i)
                                  : std::to_string(t / 2) + "+" + std::to_string(i));
      request.set_exclusive(true);
      auto result = fs.names().Mutate(Create, request);
      if (result.ok()) ++made;
      if (ErrnoOf(result.status()) == EEXIST) ++existed;
    }
  });
  REQUIRE(made == kThreads * 100 + kThreads / 2 * 100);
  REQUIRE(existed == kThreads / 2 * 100);
  REQUIRE(fs.Lookup("/d")->attr().size() == static_cast<uint64_t>(made));
  REQUIRE(fs.names().Counters(kRootDataset)->inodes == 2 + made);
  REQUIRE(fs.Problems().empty());
  fs.Reopen(/*kill=*/true);
  REQUIRE(fs.Problems().empty());
}

TEST_CASE("racing renames, removals and creates leave a tree", "[metaserver][concurrency]") {
  NamespaceFixture fs({"/a/", "/b/", "/c/"});
  const uint64_t seed = Catch::rngSeed();
  INFO("seed " << seed);
  std::vector<uint64_t> tops = {fs.InoOf("/a"), fs.InoOf("/b"), fs.InoOf("/c"), kRootInode.value()};
  absl::Mutex mu;
  std::vector<uint64_t> directories = tops;
  InThreads([&](int t) {
    std::mt19937_64 random(seed + t);
    const auto any = [&] {
      absl::MutexLock lock(&mu);
      return directories[random() % directories.size()];
    };
    const auto name = [&] { return std::string(1, static_cast<char>('p' + random() % 4)); };
    for (int i = 0; i < 400; ++i) {
      const uint64_t kind = random() % 6;
      if (kind <= 1) {
        wire::MkdirRequest request;
        *request.mutable_context() = ContextOf(fs);
        request.set_parent(any());
        request.set_name(name());
        auto made = fs.names().Mutate(Mkdir, request);
        absl::MutexLock lock(&mu);
        if (made.ok()) directories.push_back(made->entry().attr().ino());
      } else if (kind == 2) {
        wire::RmdirRequest request;
        *request.mutable_context() = ContextOf(fs);
        request.set_parent(any());
        request.set_name(name());
        fs.names().Mutate(Rmdir, request).status().IgnoreError();
      } else {
        wire::RenameRequest request;
        *request.mutable_context() = ContextOf(fs);
        request.set_parent(any());
        request.set_name(name());
        request.set_new_parent(any());
        request.set_new_name(name());
        request.set_flags(kind == 5 ? wire::RENAME_FLAG_EXCHANGE : 0);
        fs.names().Mutate(Rename, request).status().IgnoreError();
      }
    }
  });
  REQUIRE(fs.Problems().empty());
  // No directory was lost in a cycle: all that have links are reached from the root.
  size_t linked = 1;
  for (const std::string& path : fs.Tree()) linked += path.back() == '/' ? 1 : 0;
  size_t alive = 0;
  for (uint64_t ino : directories) alive += fs.Getattr(ino)->attr().nlink() > 0 ? 1 : 0;
  REQUIRE(alive == linked);
}

}  // namespace penstock::metaserver

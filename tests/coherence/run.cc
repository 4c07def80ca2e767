#include "tests/coherence/run.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include "tests/coherence/node.h"
#include "tests/coherence/story.h"

namespace penstock::coherence {
namespace {

struct Run {
  const Options& options;
  const Test& test;
  Shared* shared;
  std::string folder;  // of the test, below each node's directory
  int64_t began_ns = NowNs();
  std::vector<pid_t> workers;
};

bool IsOver(const Run& run, uint64_t next_round, uint64_t rounds) {
  return next_round >= run.options.first_round + rounds ||
         NowNs() - run.began_ns > run.options.seconds * 1'000'000'000ll;
}

// Rounds in step: node 0 says before the barrier whether there is another.
void RunInStep(const Run& run, Litmus* litmus, Node* node) {
  for (uint64_t round = run.options.first_round;; ++round) {
    node->BeginRound(round);
    litmus->Round(*node);
    std::atomic<uint32_t>& more = run.shared->more[round % 2];
    if (node->id() == 0) {
      run.shared->rounds.fetch_add(1);
      more.store(!IsOver(run, round + 1, run.options.rounds));
    }
    node->Barrier();
    if (!more.load()) return;
  }
}

// The rounds are divided among the nodes.
void RunFree(const Run& run, Litmus* litmus, Node* node) {
  const uint64_t nodes = run.options.nodes.size();
  const uint64_t rounds = (run.options.rounds + nodes - 1) / nodes;
  for (uint64_t round = run.options.first_round; !IsOver(run, round, rounds); ++round) {
    if (node->stopped()) return;
    node->BeginRound(round);
    litmus->Round(*node);
    run.shared->rounds.fetch_add(1);
  }
}

[[noreturn]] void Work(const Run& run, int id) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  umask(0);
  Node node(run.options, run.shared, id, run.options.nodes[id] + "/" + run.folder);
  std::unique_ptr<Litmus> litmus = run.test.make();
  node.BeginRound(run.options.first_round);
  if (id == 0) node.Must(node.calls.Mkdir(""));
  node.Barrier();
  litmus->Setup(node);
  node.Barrier();
  if (run.test.free_running) {
    RunFree(run, litmus.get(), &node);
  } else {
    RunInStep(run, litmus.get(), &node);
  }
  _exit(0);
}

void Report(const Run& run) {
  std::printf("t=%.1f", static_cast<double>(NowNs() - run.began_ns) / 1e9);
  for (size_t i = 0; i < run.options.nodes.size(); ++i) {
    const NodeArea& area = run.shared->nodes[i];
    std::printf(" node%zu=%llu,%llu", i, static_cast<unsigned long long>(area.calls.load()),
                static_cast<unsigned long long>(area.errors.load()));
  }
  std::printf("\n");
  std::fflush(stdout);
}

// A call that takes too long is a violation; says who was where.
void CheckWaits(const Run& run) {
  std::string all;
  bool too_long = false;
  for (size_t i = 0; i < run.options.nodes.size(); ++i) {
    int64_t began_ns = 0;
    const std::string text = UnderWay(run.shared->nodes[i], &began_ns);
    const double took_s = static_cast<double>(NowNs() - began_ns) / 1e9;
    if (text.empty()) continue;
    too_long |= took_s > run.options.call_limit_s;
    all += "node " + std::to_string(i) + " waits for " + std::to_string(took_s) + " s in " + text +
           "; ";
  }
  if (!too_long || run.shared->failed_node.load() != 0) return;
  run.shared->failed_node.store(1);
  std::snprintf(run.shared->failure, sizeof(run.shared->failure), "a call has no end: %s",
                all.c_str());
  run.shared->failure_told.store(true);
  run.shared->stop.store(true);
}

// Waits for the workers; those that don't leave within 5 s of the end are killed.
void Watch(Run* run) {
  int64_t stopped_ns = 0, reported_ns = NowNs();
  size_t running = run->workers.size();
  while (running > 0) {
    int status = 0;
    const pid_t ended = waitpid(-1, &status, WNOHANG);
    if (ended > 0) {
      --running;
      if (status != 0 && !run->shared->stop.exchange(true)) {
        run->shared->failed_node.store(1);
        std::snprintf(run->shared->failure, sizeof(run->shared->failure),
                      "a node's process ended with status %d", status);
        run->shared->failure_told.store(true);
      }
      continue;
    }
    usleep(20'000);
    CheckWaits(*run);
    if (!stopped_ns && run->shared->stop.load()) stopped_ns = NowNs();
    if (stopped_ns && NowNs() - stopped_ns > 5'000'000'000) {
      for (pid_t worker : run->workers) kill(worker, SIGKILL);
      stopped_ns = NowNs();
    }
    const int64_t every_ns = run->options.report_every_s * 1'000'000'000ll;
    if (every_ns && NowNs() - reported_ns >= every_ns) {
      Report(*run);
      reported_ns = NowNs();
    }
  }
}

void PrintResult(const Run& run) {
  uint64_t calls = 0, estale = 0, looks = 0;
  for (const NodeArea& area : run.shared->nodes) {
    calls += area.calls.load();
    estale += area.estale.load();
    looks += area.looks.load();
  }
  const double took_s = static_cast<double>(NowNs() - run.began_ns) / 1e9;
  std::printf(
      "%s: %llu rounds, %llu calls, %llu looks, %llu ESTALE repeated, seed %llu, %.1f s, "
      "%.0f rounds/s\n",
      run.test.name, static_cast<unsigned long long>(run.shared->rounds.load()),
      static_cast<unsigned long long>(calls), static_cast<unsigned long long>(looks),
      static_cast<unsigned long long>(estale), static_cast<unsigned long long>(run.options.seed),
      took_s, static_cast<double>(run.shared->rounds.load()) / took_s);
  for (size_t i = 0; i < run.options.nodes.size(); ++i) {
    const NodeArea& area = run.shared->nodes[i];
    std::printf("  node %zu: %llu errors, longest call %.3f s: %s\n", i,
                static_cast<unsigned long long>(area.errors.load()),
                static_cast<double>(area.longest_ns.load()) / 1e9, area.longest_text);
  }
}

}  // namespace

int RunTest(const Options& options, const Test& test) {
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 2;
  Run run{options, test, new (memory) Shared,
          std::string(test.name) + "." + std::to_string(getpid())};
  std::fflush(stdout);
  for (int id = 0; id < static_cast<int>(options.nodes.size()); ++id) {
    const pid_t worker = fork();
    if (worker == 0) Work(run, id);
    run.workers.push_back(worker);
  }
  Watch(&run);
  if (!options.keep) {
    std::error_code ignored;
    std::filesystem::remove_all(options.nodes[0] + "/" + run.folder, ignored);
  }
  if (run.shared->failed_node.load() != 0) std::printf("%s", Story(options, *run.shared).c_str());
  if (run.shared->skipped[0]) {
    std::printf("%s: SKIPPED: %s\n", test.name, run.shared->skipped);
    return 3;
  }
  PrintResult(run);
  return run.shared->failed_node.load() != 0 ? 1 : 0;
}

}  // namespace penstock::coherence

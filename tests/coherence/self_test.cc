#include "tests/coherence/self_test.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/coherence/linearizer.h"
#include "tests/coherence/records.h"
#include "tests/coherence/run.h"
#include "tests/coherence/window.h"

namespace penstock::coherence {
namespace {

int wrong = 0;

void Expect(bool holds, const std::string& what) {
  if (holds) return;
  ++wrong;
  std::printf("self-test: WRONG: %s\n", what.c_str());
}

// An operation that lasted from `begin` to `end`.
Op At(int64_t begin, int64_t end, OpKind kind, int path, int error = 0) {
  Op op;
  op.kind = kind;
  op.path = static_cast<uint8_t>(path);
  op.error = error;
  op.argument = op.mode = 0600;
  op.nlink = 1;
  op.begin_ns = begin;
  op.end_ns = end;
  return op;
}

Op To(Op op, int other) {
  op.other = static_cast<uint8_t>(other);
  return op;
}

Op Listing(int64_t begin, int64_t end, uint32_t listed) {
  Op op = At(begin, end, OpKind::kListRoot, 0);
  op.listed = listed;
  return op;
}

constexpr int kA = 0, kB = 1, kC = 2, kS = 3, kSA = 4;

void TestExplained() {
  using enum OpKind;
  const std::vector<std::pair<const char*, std::vector<Op>>> fine = {
      {"a look beside a create may find it or not",
       {At(0, 9, kCreate, kA), At(1, 2, kStat, kA, ENOENT), At(3, 4, kStat, kA)}},
      {"two creates, one wins", {At(0, 9, kCreate, kA), At(1, 8, kCreate, kA, EEXIST)}},
      {"a rename and looks around it",
       {At(0, 1, kCreate, kA), To(At(2, 9, kRename, kA), kB), At(3, 4, kStat, kA),
        At(5, 6, kStat, kB), At(7, 8, kStat, kA, ENOENT)}},
      {"a listing beside a rename may have both names",
       {At(0, 1, kCreate, kA), To(At(2, 9, kRename, kA), kB), Listing(3, 8, 3)}},
      {"a listing beside a rename may have neither",
       {At(0, 1, kCreate, kA), To(At(2, 9, kRename, kA), kB), Listing(3, 8, 0)}},
      {"a link of a name that goes meanwhile",
       {At(0, 1, kCreate, kA), To(At(2, 3, kLink, kA), kC), At(4, 6, kUnlink, kA),
        To(At(5, 9, kLink, kA), kB), At(7, 8, kStat, kB, ENOENT)}},
      {"a full directory stays",
       {At(0, 1, kMkdir, kS), At(2, 3, kCreate, kSA), At(4, 5, kRmdir, kS, ENOTEMPTY)}},
  };
  for (const auto& [what, history] : fine) Expect(IsExplained(history), what);
  Op unknown = At(2, 3, kUnlink, kA);
  unknown.unknown = true;
  Expect(IsExplained({At(0, 1, kCreate, kA), unknown, At(4, 5, kStat, kA)}), "it did not happen");
  Expect(IsExplained({At(0, 1, kCreate, kA), unknown, At(4, 5, kStat, kA, ENOENT)}), "it happened");
}

void TestUnexplained() {
  using enum OpKind;
  Op old_mode = At(4, 5, kStat, kA);
  Op chmod = At(2, 3, kChmod, kA);
  chmod.argument = 0644;
  Op links = At(4, 5, kStat, kB);
  const std::vector<std::pair<const char*, std::vector<Op>>> bad = {
      {"a name is missing after its create", {At(0, 1, kCreate, kA), At(2, 3, kStat, kA, ENOENT)}},
      {"a name is there after its unlink",
       {At(0, 1, kCreate, kA), At(2, 3, kUnlink, kA), At(4, 5, kStat, kA)}},
      {"two creates win", {At(0, 9, kCreate, kA), At(1, 8, kCreate, kA)}},
      {"no create wins", {At(0, 9, kCreate, kA, EEXIST), At(1, 8, kCreate, kA, EEXIST)}},
      {"a rename goes back",
       {At(0, 1, kCreate, kA), To(At(2, 9, kRename, kA), kB), At(3, 4, kStat, kA, ENOENT),
        At(5, 6, kStat, kA)}},
      {"a renamed name is in two places",
       {At(0, 1, kCreate, kA), To(At(2, 9, kRename, kA), kB), At(3, 4, kStat, kB),
        At(5, 6, kStat, kA)}},
      {"a renamed name is lost",
       {At(0, 1, kCreate, kA), To(At(2, 9, kRename, kA), kB), At(3, 4, kStat, kA, ENOENT),
        At(5, 6, kStat, kB, ENOENT)}},
      {"a listing without what is there", {At(0, 1, kCreate, kA), Listing(2, 3, 0)}},
      {"a listing of what is gone",
       {At(0, 1, kCreate, kA), At(2, 3, kUnlink, kA), Listing(4, 5, 1)}},
      {"an old mode after chmod", {At(0, 1, kCreate, kA), chmod, old_mode}},
      {"a link not counted", {At(0, 1, kCreate, kA), To(At(2, 3, kLink, kA), kB), links}},
      {"a full directory goes",
       {At(0, 1, kMkdir, kS), At(2, 3, kCreate, kSA), At(4, 5, kRmdir, kS)}},
      {"the wrong error", {At(0, 1, kMkdir, kA), At(2, 3, kUnlink, kA, EPERM)}},
  };
  for (const auto& [what, history] : bad) Expect(!IsExplained(history), what);
  const std::string story = Unexplained({At(0, 1, kCreate, kA), At(2, 3, kCreate, kB),
                                         At(4, 5, kStat, kB), At(6, 7, kStat, kA, ENOENT)});
  Expect(story.find("stat(a)") != std::string::npos && story.find("stat(b)") == std::string::npos,
         "the story leaves out looks that don't matter");
}

void TestWindowsAndRecords() {
  Expect(WrongValue({3, 5}, 3).empty() && WrongValue({3, 5}, 5).empty(), "values in the window");
  Expect(!WrongValue({3, 5}, 2).empty() && !WrongValue({3, 5}, 6).empty(), "values beside it");
  Expect(!WrongValue({0, 5}, -1).empty() && !WrongValue({0, 5}, -2).empty(), "mixed and empty");
  Expect(WrongParity({3, 4}, true).empty() && WrongParity({3, 4}, false).empty(), "either");
  Expect(!WrongParity({4, 4}, true).empty() && WrongParity({4, 4}, false).empty(), "only even");
  const std::string a0 = Record(0, 0, 32), a1 = Record(0, 1, 32), b0 = Record(1, 0, 64);
  Expect(WrongRecords(a0 + b0 + a1, {2, 1}).empty(), "whole records");
  Expect(!WrongRecords(a1 + b0 + a0, {2, 1}).empty(), "out of order");
  Expect(!WrongRecords(a0 + b0, {2, 1}).empty(), "a record is lost");
  Expect(!WrongRecords(a0 + a0 + b0 + a1, {2, 1}).empty(), "a record is there twice");
  Expect(!WrongRecords(a0.substr(0, 16) + b0 + a1, {2, 1}).empty(), "a record is torn");
  Expect(!WrongRecords(a0 + std::string(8, '\0') + b0 + a1, {2, 1}).empty(), "zeros between");
  Expect(!WrongRecords(a0 + b0 + a1.substr(0, 31), {2, 1}).empty(), "the end is cut");
}

// How a run of the test ends, on a local directory that `lies` as often.
int Outcome(const Test& test, const std::string& folder, int lies) {
  const pid_t child = fork();
  if (child == 0) {
    dup2(open("/dev/null", O_WRONLY), 1);
    Options options;
    options.test = test.name;
    options.nodes = {folder, folder, folder};
    options.seed = 1;
    options.lies = lies;
    options.rounds = lies ? 20'000 : 100;
    options.seconds = 20;
    _exit(RunTest(options, test));
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void TestTests() {
  std::string folder = std::filesystem::temp_directory_path() / "penstock-coherence-XXXXXX";
  if (!mkdtemp(folder.data())) {
    Expect(false, "no temporary directory");
    return;
  }
  for (const Test& test : AllTests()) {
    const int honest = Outcome(test, folder, 0);
    Expect(honest == 0 || honest == 3, std::string(test.name) + " fails on a local directory");
    if (honest == 0) {
      Expect(Outcome(test, folder, 5) == 1, std::string(test.name) + " does not notice lies");
    }
  }
  std::filesystem::remove_all(folder);
}

}  // namespace

int SelfTest() {
  TestExplained();
  TestUnexplained();
  TestWindowsAndRecords();
  TestTests();
  std::printf("self-test: %s\n", wrong ? "FAILED" : "all well");
  return wrong ? 1 : 0;
}

}  // namespace penstock::coherence

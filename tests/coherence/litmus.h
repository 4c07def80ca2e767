#pragma once

#include <memory>
#include <string>
#include <vector>

namespace penstock::coherence {

class Node;

// A test: all nodes run the same code, each in a process of its own, and choose by who they are.
// Every node has an object of its own; what several must know goes through Node.
class Litmus {
 public:
  virtual ~Litmus() = default;

  // Before the first round, on every node; a barrier follows.
  virtual void Setup(Node&) {}

  // One round; a barrier follows, unless the test is free-running.
  virtual void Round(Node& node) = 0;
};

struct Test {
  const char* name;
  const char* what;
  std::unique_ptr<Litmus> (*make)();
  bool free_running = false;  // its nodes never wait for each other
};

const std::vector<Test>& AllTests();
const Test* FindTest(const std::string& name);  // null: there is none

std::unique_ptr<Litmus> MakeMessagePassing();
std::unique_ptr<Litmus> MakeStoreBuffering();
std::unique_ptr<Litmus> MakeCreateUnlink();
std::unique_ptr<Litmus> MakeMkdirRmdir();
std::unique_ptr<Litmus> MakeReaddir();
std::unique_ptr<Litmus> MakeHardLinks();
std::unique_ptr<Litmus> MakeAttributes();
std::unique_ptr<Litmus> MakeTruncate();
std::unique_ptr<Litmus> MakeRename();
std::unique_ptr<Litmus> MakeExchange();
std::unique_ptr<Litmus> MakeSaveByRename();
std::unique_ptr<Litmus> MakeAppend();
std::unique_ptr<Litmus> MakeDisjointWriters();
std::unique_ptr<Litmus> MakeGrowth();
std::unique_ptr<Litmus> MakeSizeThenRead();
std::unique_ptr<Litmus> MakeOpenInOrder();
std::unique_ptr<Litmus> MakeLockHandover();
std::unique_ptr<Litmus> MakeUnlinkedOpen();
std::unique_ptr<Litmus> MakeExclusiveCreate();
std::unique_ptr<Litmus> MakeLinearizable();
std::unique_ptr<Litmus> MakeOpen();

}  // namespace penstock::coherence

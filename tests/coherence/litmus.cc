#include "tests/coherence/litmus.h"

namespace penstock::coherence {

const std::vector<Test>& AllTests() {
  static const std::vector<Test> tests = {
      {"message-passing", "who sees the flag sees the data written before it", MakeMessagePassing},
      {"store-buffering", "of nodes that change and then look, one sees the other's change",
       MakeStoreBuffering},
      {"create-unlink", "a name is there after create returned, and gone after unlink",
       MakeCreateUnlink},
      {"mkdir-rmdir", "the same for directories and what is in them", MakeMkdirRmdir},
      {"readdir", "a listing begun after a change shows it", MakeReaddir},
      {"hard-links", "the count of links is the same everywhere", MakeHardLinks},
      {"attributes", "modes, owners, times, sizes and xattrs are the same everywhere",
       MakeAttributes},
      {"truncate", "bytes cut or added are cut or added everywhere", MakeTruncate},
      {"rename", "a replaced name is always there, a moved one in exactly one place", MakeRename},
      {"exchange", "two exchanged names are seen both old or both new", MakeExchange},
      {"save-by-rename", "a reader gets a whole old or a whole new file", MakeSaveByRename},
      {"append", "records appended by all nodes are whole and there once", MakeAppend},
      {"disjoint-writers", "writers of one open file don't harm each other's bytes",
       MakeDisjointWriters},
      {"growth", "an open reader sees the file grow and shrink", MakeGrowth},
      {"size-then-read", "a reader finds all the bytes that fstat told of", MakeSizeThenRead},
      {"open-in-order", "values of an open file only move forward", MakeOpenInOrder},
      {"lock-handover", "who gets the lock sees what its last holder wrote", MakeLockHandover},
      {"unlinked-open", "an open file outlives its name", MakeUnlinkedOpen},
      {"exclusive-create", "exactly one of several creates of a name wins", MakeExclusiveCreate},
      {"linearizable", "some order explains all answers of random operations", MakeLinearizable},
      {"open", "random changes and looks without rounds, for runs with faults", MakeOpen, true},
  };
  return tests;
}

const Test* FindTest(const std::string& name) {
  for (const Test& test : AllTests()) {
    if (name == test.name) return &test;
  }
  return nullptr;
}

}  // namespace penstock::coherence

#pragma once

#include "tests/coherence/litmus.h"
#include "tests/coherence/options.h"

namespace penstock::coherence {

// Runs a test with a process a node, watches over them, and prints what came of it.
// 0: no violation; 1: one; 3: the file system can't do what the test needs.
int RunTest(const Options& options, const Test& test);

}  // namespace penstock::coherence

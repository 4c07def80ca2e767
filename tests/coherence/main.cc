// penstock-coherence: what several nodes see of one file system, checked (README.md).
#include <cstdio>

#include "tests/coherence/litmus.h"
#include "tests/coherence/options.h"
#include "tests/coherence/run.h"
#include "tests/coherence/self_test.h"

int main(int argc, char** argv) {
  using namespace penstock::coherence;
  const Options options = ParseOptions(argc, argv);
  if (options.test == "list") {
    for (const Test& test : AllTests()) std::printf("%-20s %s\n", test.name, test.what);
    return 0;
  }
  if (options.test == "self-test") return SelfTest();
  return RunTest(options, *FindTest(options.test));
}

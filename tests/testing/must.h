// Catch's checks belong to the thread that runs the test; Must() is for the others. Thread-safe.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <source_location>

namespace penstock::testing {

// A false one ends the program and says where.
inline void Must(bool good, std::source_location where = std::source_location::current()) {
  if (good) return;
  std::fprintf(stderr, "%s:%u: what another thread of the test must find is not so\n",
               where.file_name(), static_cast<unsigned>(where.line()));
  std::abort();
}

}  // namespace penstock::testing

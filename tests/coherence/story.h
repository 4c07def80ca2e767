#pragma once

#include <string>

#include "tests/coherence/options.h"
#include "tests/coherence/shared.h"

namespace penstock::coherence {

// The violation in words, how to repeat it, and the calls around it in the order they began.
std::string Story(const Options& options, const Shared& shared);

// What a node is doing now, '' between two calls; `began_ns` is when that began.
std::string UnderWay(const NodeArea& area, int64_t* began_ns);

}  // namespace penstock::coherence

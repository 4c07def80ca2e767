#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tests/coherence/shared.h"

namespace penstock::coherence {

// A record of an appending node: every word says whose it is, which, how long, and which word.
std::string Record(int node, int64_t number, size_t size_bytes);

// '' if `data` is made of whole records only, each of the first `counts[node]` of every node once,
// and those of one node in the order they were written; else what is wrong.
std::string WrongRecords(const std::string& data, const std::array<int, kMaxNodes>& counts);

}  // namespace penstock::coherence

#pragma once

#include <string>
#include <vector>

#include "tests/coherence/history.h"

namespace penstock::coherence {

// Whether some order explains all answers: each operation happens at one moment between its
// beginning and its end, on a tree that was empty at first (Wing and Gong's search, with the
// states that led nowhere remembered).
//
// Operations that Linux makes of two steps are two here: those on what a name leads to (chmod,
// truncate, stat, link) first find the inode and then work on it. A listing looks at each name at
// a moment of its own, as POSIX allows.
bool IsExplained(const std::vector<Op>& history);

// '' if it is, else the fewest answers that nothing explains together: looks and refused
// operations that don't matter are left out.
std::string Unexplained(const std::vector<Op>& history);

}  // namespace penstock::coherence

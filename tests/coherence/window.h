#pragma once

#include <cstdint>
#include <string>

#include "tests/coherence/shared.h"

namespace penstock::coherence {

// What a look at a value with one writer may find: not less than what was done or seen before the
// look began, not more than what was started before it ended.
struct Window {
  int64_t lowest = 0;
  int64_t highest = 0;
};

// `seen` is what must not be taken back: by default, what anybody has seen.
Window BeginLook(const Register& value);
Window BeginLook(const Register& value, int64_t seen);
void EndLook(Register* value, Window* window);
// From now on nobody may see an older one.
void HaveSeen(Register* value, int64_t seen);

// '' if the value may be seen in this window, else what is wrong with it.
std::string WrongValue(const Window& window, int64_t value);

// The same for a look that tells odd versions from even ones only.
std::string WrongParity(const Window& window, bool odd);

}  // namespace penstock::coherence

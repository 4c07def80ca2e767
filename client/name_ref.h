// A name in a directory, kept beyond the call that said it.
#pragma once

#include <string>

#include "common/ids.h"

namespace penstock::client {

struct NameRef {
  InodeNumber parent;
  std::string name;
};

}  // namespace penstock::client

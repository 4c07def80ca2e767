// How long a list of records is, for operators.
#pragma once

#include <cstdint>

#include "metaserver/store/meta_store.h"

namespace penstock::metaserver {

// Keys of `family` that begin with `list`; counting stops at `limit`.
uint64_t CountList(const MetaStore& store, Family family, char list, uint64_t limit);

}  // namespace penstock::metaserver

#include "metaserver/store/list_count.h"

#include <memory>

namespace penstock::metaserver {

uint64_t CountList(const MetaStore& store, Family family, char list, uint64_t limit) {
  std::unique_ptr<rocksdb::Iterator> it(
      store.db()->NewIterator(rocksdb::ReadOptions(), store.family(family)));
  uint64_t count = 0;
  for (it->Seek(rocksdb::Slice(&list, 1)); it->Valid() && count < limit; it->Next()) {
    if (it->key().empty() || it->key()[0] != list) break;
    ++count;
  }
  return count;
}

}  // namespace penstock::metaserver

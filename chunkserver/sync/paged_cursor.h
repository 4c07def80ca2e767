// PagedCursor walks a sequence of chunks, in the order of a store, that comes page by page.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <optional>
#include <vector>

#include "common/ids.h"
#include "common/status.h"

namespace penstock::chunkserver {

// `Item` has a member `key`.
template <typename Item>
class PagedCursor {
 public:
  struct Page {
    std::vector<Item> items;
    bool more = false;
  };
  // What comes after a key; without one, from the first.
  using Fill = std::function<absl::StatusOr<Page>(const std::optional<ChunkKey>& after)>;
  explicit PagedCursor(Fill fill) : fill_(std::move(fill)) {}

  // nullptr: the end. Valid until Advance().
  absl::StatusOr<const Item*> Peek() {
    while (at_ == page_.items.size()) {
      if (!page_.more) return nullptr;
      if (!page_.items.empty()) last_ = page_.items.back().key;
      ASSIGN_OR_RETURN(page_, fill_(last_));
      at_ = 0;
      // A page of nothing with more to come would be asked for for ever.
      if (page_.items.empty()) page_.more = false;
    }
    return &page_.items[at_];
  }
  void Advance() { ++at_; }

 private:
  const Fill fill_;
  Page page_{{}, true};
  size_t at_ = 0;
  std::optional<ChunkKey> last_;
};

}  // namespace penstock::chunkserver

#include "tests/chunkserver/store/chunk_model.h"

#include "tests/chunkserver/store/store_fixture.h"

namespace penstock::chunkserver {

std::string Applied(const ModelChunk& chunk, const ModelChange& change) {
  std::string content = chunk.content;
  switch (change.kind) {
    case ChangeKind::kWrite:
      if (!change.data.empty()) {
        if (content.size() < change.offset + change.data.size()) {
          content.resize(change.offset + change.data.size(), '\0');
        }
        content.replace(change.offset, change.data.size(), change.data);
      }
      break;
    case ChangeKind::kTruncate:
      content.resize(change.offset, '\0');
      break;
    case ChangeKind::kZero:
      for (size_t i = change.offset; i < content.size() && i < change.offset + change.length; ++i) {
        content[i] = '\0';
      }
      break;
    case ChangeKind::kReplace:
      content = change.data;
      break;
    case ChangeKind::kDelete:
      content.clear();
      break;
  }
  return content;
}

ModelChange RandomChange(std::mt19937_64& random, const ModelChunk& chunk, uint32_t max_bytes) {
  const uint32_t size = static_cast<uint32_t>(chunk.content.size());
  auto below = [&](uint64_t bound) { return static_cast<uint32_t>(random() % bound); };
  auto some_offset = [&]() -> uint32_t {
    switch (random() % 6) {
      case 0:
        return 0;
      case 1:
        return size;  // an append
      case 2:
        return below(size + 1) / 4096 * 4096;
      case 3:
        return std::min(max_bytes, size + below(10000));  // a gap
      default:
        return below(size + 1);
    }
  };
  auto some_length = [&](uint32_t offset) -> uint32_t {
    uint32_t length = 0;
    switch (random() % 6) {
      case 0:
        length = 1 + below(200);
        break;
      case 1:
        length = 4096 * (1 + below(4));
        break;
      case 2:
        length = 1 + below(20000);
        break;
      case 3:
        length = 65536 + below(3) * 4096 - 4096;
        break;
      case 4:
        length = offset < size ? size - offset : 4096;
        break;
      default:
        length = 1 + below(max_bytes / 3);
        break;
    }
    return std::min(length, max_bytes - offset);
  };
  ModelChange change;
  const uint64_t dice = random() % 20;
  if (dice < 12) {
    change.kind = ChangeKind::kWrite;
    change.offset = some_offset();
    change.data = RandomBytes(random, some_length(change.offset));
  } else if (dice < 15) {
    change.kind = ChangeKind::kTruncate;
    change.offset = std::min(max_bytes, random() % 2 ? below(size + 1) : below(size + 9000));
  } else if (dice < 17) {
    change.kind = ChangeKind::kZero;
    change.offset = some_offset();
    change.length = some_length(change.offset);
  } else if (dice < 19) {
    change.kind = ChangeKind::kReplace;
    change.data = RandomBytes(random, random() % 5 == 0 ? 0 : below(max_bytes));
  } else {
    change.kind = ChangeKind::kDelete;
  }
  return change;
}

}  // namespace penstock::chunkserver

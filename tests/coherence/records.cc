#include "tests/coherence/records.h"

#include <cstring>

namespace penstock::coherence {
namespace {

struct Word {
  uint64_t node : 8;
  uint64_t number : 24;
  uint64_t length : 16;  // of the record, in words
  uint64_t index : 16;   // in the record, from 1: a zero word is no record
};

Word WordAt(const std::string& data, size_t at) {
  Word word;
  std::memcpy(&word, &data[at], sizeof(word));
  return word;
}

}  // namespace

std::string Record(int node, int64_t number, size_t size_bytes) {
  std::string record(size_bytes / 8 * 8, '\0');
  for (size_t at = 0; at < record.size(); at += 8) {
    const Word word = {static_cast<uint64_t>(node), static_cast<uint64_t>(number),
                       record.size() / 8, at / 8 + 1};
    std::memcpy(&record[at], &word, sizeof(word));
  }
  return record;
}

std::string WrongRecords(const std::string& data, const std::array<int, kMaxNodes>& counts) {
  std::array<int, kMaxNodes> next = {};
  size_t at = 0;
  while (at + 8 <= data.size()) {
    const Word first = WordAt(data, at);
    const std::string where = " at byte " + std::to_string(at);
    const std::string which =
        "record " + std::to_string(first.number) + " of node " + std::to_string(first.node);
    if (first.index == 0) return "zeros" + where;
    if (first.index != 1 || first.node >= kMaxNodes) {
      return "a piece (word " + std::to_string(first.index) + ") of " + which + where;
    }
    const int expected = next[first.node]++;
    if (static_cast<int>(first.number) != expected) {
      return which + where + ", where its record " + std::to_string(expected) + " should come next";
    }
    const std::string whole = Record(static_cast<int>(first.node), expected, first.length * 8);
    if (data.compare(at, whole.size(), whole) != 0) return which + where + " is not whole";
    at += whole.size();
  }
  if (at != data.size()) return std::to_string(data.size() - at) + " odd bytes at the end";
  for (int node = 0; node < kMaxNodes; ++node) {
    if (next[node] == counts[node]) continue;
    return "node " + std::to_string(node) + " appended " + std::to_string(counts[node]) +
           " records, and " + std::to_string(next[node]) + " are there";
  }
  return "";
}

}  // namespace penstock::coherence

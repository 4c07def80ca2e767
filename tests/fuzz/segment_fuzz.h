// What the fuzzer of RDMA segments and private data runs on one input;
// tests/common/net/rdma_segment_test.cc runs it on mutated segments.
#pragma once

#include <string>
#include <string_view>

#include "common/net/rdma_segment.h"

namespace penstock::net {

// What is taken says the same when it is written again: nothing in it was overlooked.
inline void FuzzSegment(std::string_view bytes) {
  if (auto segment = DecodeSegment(bytes); segment.ok()) {
    std::string again(SegmentOverhead(*segment), '\0');
    EncodeSegment(*segment, segment->stream.size(), again.data());
    if (again.append(segment->stream) != bytes) __builtin_trap();
    if (TotalOf(segment->sources) > 1u << 30 || TotalOf(segment->sinks) > 1u << 30) {
      __builtin_trap();
    }
  }
  if (auto said = DecodePrivate(bytes); said.ok()) {
    if (EncodePrivate(*said) != bytes.substr(0, kRdmaPrivateBytes)) __builtin_trap();
    if (said->slots < 4 || said->slot_bytes < 1024) __builtin_trap();
  }
}

}  // namespace penstock::net

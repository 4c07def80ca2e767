// FrameReader cuts a byte stream into frames: header and message are collected in its own small
// buffer, payload bytes go to the caller's buffers. Sans-I/O: the owner receives into Space() and
// says how much came. Not thread-safe.
#pragma once

#include <absl/status/status.h>
#include <absl/types/span.h>

#include <memory>
#include <string_view>

#include "common/net/frame.h"

namespace penstock::net {

class FrameReader {
 public:
  FrameReader();

  void SetLimits(const FrameLimits& limits) { limits_ = limits; }

  // Where the next received bytes belong, while no head is ready. Never empty.
  absl::Span<char> Space();
  // `received` bytes were put at the front of Space(). An error ends the stream: INVALID_ARGUMENT
  // (garbage), kProtocolVersion or kMessageTooLarge, with header() filled in for the last.
  absl::Status Advance(size_t received);

  // Header and message are whole and their checksum holds.
  bool head_ready() const { return head_ready_; }
  const FrameHeader& header() const { return header_; }
  std::string_view message() const;  // valid until NextFrame
  // Moves payload bytes that came along with the head into `out`; returns how many.
  size_t TakePayload(absl::Span<char> out);
  size_t buffered_bytes() const { return end_ - begin_; }

  // Leaves the current frame (whose payload has been taken) and looks at what follows it.
  absl::Status NextFrame();

 private:
  absl::Status Parse();
  void MakeRoom(size_t bytes);

  FrameLimits limits_ = kHandshakeLimits;
  std::unique_ptr<char[]> buffer_;
  size_t capacity_;
  size_t begin_ = 0;  // of what has not been consumed yet
  size_t end_ = 0;
  bool header_ready_ = false;
  bool head_ready_ = false;
  FrameHeader header_;
  size_t message_at_ = 0;
};

}  // namespace penstock::net

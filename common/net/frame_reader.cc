#include "common/net/frame_reader.h"

#include <algorithm>
#include <cstring>

#include "common/status.h"

namespace penstock::net {
namespace {

// One receive gets the head of most frames. Payload bytes that come along are copied once, so this
// also bounds that copy.
constexpr size_t kBufferBytes = 4096;
constexpr size_t kKeepBytes = 64 * 1024;  // a larger buffer is given back after its frame

}  // namespace

FrameReader::FrameReader() : buffer_(new char[kBufferBytes]), capacity_(kBufferBytes) {}

absl::Span<char> FrameReader::Space() {
  size_t needed = kFrameHeaderBytes;
  if (header_ready_) needed += header_.message_bytes;
  MakeRoom(needed);
  return {buffer_.get() + end_, capacity_ - end_};
}

void FrameReader::MakeRoom(size_t bytes) {
  if (begin_ + bytes < capacity_) return;  // one byte more than needed: Space() is never empty
  const size_t held = end_ - begin_;
  if (bytes < capacity_) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, held);
  } else {
    const size_t capacity = bytes + 1;
    std::unique_ptr<char[]> larger(new char[capacity]);
    std::memcpy(larger.get(), buffer_.get() + begin_, held);
    buffer_ = std::move(larger);
    capacity_ = capacity;
  }
  begin_ = 0;
  end_ = held;
}

absl::Status FrameReader::Advance(size_t received) {
  INVARIANT(!head_ready_ && received <= capacity_ - end_);
  end_ += received;
  return Parse();
}

absl::Status FrameReader::Parse() {
  const std::string_view bytes(buffer_.get() + begin_, end_ - begin_);
  if (!header_ready_) {
    if (bytes.size() < kFrameHeaderBytes) return absl::OkStatus();
    ASSIGN_OR_RETURN(header_, DecodeFrameHeader(bytes));
    RETURN_IF_ERROR(CheckLimits(header_, limits_));
    header_ready_ = true;
  }
  if (bytes.size() < kFrameHeaderBytes + header_.message_bytes) return absl::OkStatus();
  RETURN_IF_ERROR(CheckFrame(bytes.substr(0, kFrameHeaderBytes),
                             bytes.substr(kFrameHeaderBytes, header_.message_bytes)));
  message_at_ = begin_ + kFrameHeaderBytes;
  begin_ = message_at_ + header_.message_bytes;
  head_ready_ = true;
  return absl::OkStatus();
}

std::string_view FrameReader::message() const {
  return {buffer_.get() + message_at_, header_.message_bytes};
}

size_t FrameReader::TakePayload(absl::Span<char> out) {
  INVARIANT(head_ready_);
  const size_t bytes = std::min(out.size(), end_ - begin_);
  if (bytes != 0) std::memcpy(out.data(), buffer_.get() + begin_, bytes);
  begin_ += bytes;
  return bytes;
}

absl::Status FrameReader::NextFrame() {
  INVARIANT(head_ready_);
  header_ready_ = head_ready_ = false;
  const size_t held = end_ - begin_;
  if (capacity_ > kKeepBytes && held <= kBufferBytes) {
    std::unique_ptr<char[]> smaller(new char[kBufferBytes]);
    std::memcpy(smaller.get(), buffer_.get() + begin_, held);
    buffer_ = std::move(smaller);
    capacity_ = kBufferBytes;
    begin_ = 0;
    end_ = held;
  } else if (held == 0) {
    begin_ = end_ = 0;
  }
  return held == 0 ? absl::OkStatus() : Parse();
}

}  // namespace penstock::net

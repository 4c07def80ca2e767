// TcpLink: a Link over one non-blocking TCP socket. Payloads move by scatter/gather between the
// socket and the caller's memory.
#pragma once

#include "common/net/frame_reader.h"
#include "common/net/transport.h"

namespace penstock::net {

class TcpLink : public Link {
 public:
  // Takes `fd`, a connected non-blocking socket, and sets its options.
  TcpLink(int fd, std::string peer_address);
  ~TcpLink() override;

  void SetLimits(const FrameLimits& limits) override { reader_.SetLimits(limits); }
  absl::StatusOr<Progress> Send(OutgoingFrame* frame) override;
  absl::StatusOr<Progress> ReceiveHead() override;
  absl::StatusOr<Progress> ReceivePayload(IncomingPayload* payload) override;
  absl::Status NextFrame() override { return reader_.NextFrame(); }
  const FrameHeader& header() const override { return reader_.header(); }
  std::string_view message() const override { return reader_.message(); }
  bool has_buffered() const override {
    return reader_.head_ready() || reader_.buffered_bytes() != 0;
  }
  absl::StatusOr<Progress> Linger() override;
  bool Stale() override;
  int fd() const override { return fd_; }
  void Close() override;
  const std::string& peer_address() const override { return peer_address_; }

 private:
  absl::Status Broken(absl::string_view what, int err) const;

  int fd_;
  bool shut_ = false;
  const std::string peer_address_;
  FrameReader reader_;
};

}  // namespace penstock::net

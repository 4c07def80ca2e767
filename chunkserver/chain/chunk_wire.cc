#include "chunkserver/chain/chunk_wire.h"

#include <absl/strings/str_cat.h>

#include "common/status.h"

namespace penstock::chunkserver {

wire::ChunkKey ToWire(const ChunkKey& key) {
  wire::ChunkKey wire;
  wire.set_content_id(key.content.value());
  wire.set_index(key.index);
  wire.set_position(key.position);
  return wire;
}

ChunkKey FromWire(const wire::ChunkKey& key) {
  return ChunkKey{key.position(), ContentId(key.content_id()), key.index()};
}

wire::ChunkVersion ToWire(const ChunkVersion& version) {
  wire::ChunkVersion wire;
  wire.set_epoch(version.epoch);
  wire.set_sequence(version.sequence);
  return wire;
}

ChunkVersion FromWire(const wire::ChunkVersion& version) {
  return ChunkVersion{version.epoch(), version.sequence()};
}

wire::ChunkChannel ToWire(const ChannelRecord& channel) {
  wire::ChunkChannel wire;
  wire.set_session_id(channel.stamp.session.value());
  wire.set_channel(channel.stamp.channel);
  wire.set_sequence(channel.stamp.sequence);
  *wire.mutable_version() = ToWire(channel.version);
  return wire;
}

ChannelRecord FromWire(const wire::ChunkChannel& channel) {
  return ChannelRecord{
      WriteStamp{SessionId(channel.session_id()), channel.channel(), channel.sequence()},
      FromWire(channel.version())};
}

void StampToWire(const WriteStamp& stamp, wire::ChunkWrite* write) {
  write->set_session_id(stamp.session.value());
  write->set_channel(stamp.channel);
  write->set_channel_sequence(stamp.sequence);
}

void ChangeToWire(const ChunkChange& change, wire::ChunkWrite* write) {
  write->set_change(static_cast<wire::ChunkChange>(change.kind));
  write->set_offset(change.offset);
  const bool has_data = change.kind == ChangeKind::kWrite || change.kind == ChangeKind::kReplace;
  write->set_length(has_data ? static_cast<uint32_t>(change.data.size()) : change.length);
  write->set_crc32c(change.crc32c);
  StampToWire(change.stamp, write);
}

absl::StatusOr<ChunkChange> ChangeFromWire(const wire::ChunkWrite& write,
                                           absl::Span<const char> data) {
  if (write.change() < wire::CHANGE_WRITE || write.change() > wire::CHANGE_REPLACE) {
    return absl::InvalidArgumentError(absl::StrCat("no change is numbered ", write.change()));
  }
  ChunkChange change;
  change.kind = static_cast<ChangeKind>(write.change());
  change.offset = write.offset();
  change.length = write.length();
  change.data = data;
  change.crc32c = write.crc32c();
  change.stamp =
      WriteStamp{SessionId(write.session_id()), write.channel(), write.channel_sequence()};
  if (change.kind == ChangeKind::kReplace && !write.channels().empty()) {
    change.channels.emplace();
    for (const wire::ChunkChannel& channel : write.channels()) {
      change.channels->push_back(FromWire(channel));
    }
  }
  return change;
}

void SetStatus(const absl::Status& status, wire::ChunkResult* result) {
  result->set_code(static_cast<uint32_t>(status.code()));
  if (status.ok()) return;
  result->set_err(static_cast<uint32_t>(AttachedErrno(status)));
  result->set_reason(static_cast<uint32_t>(ReasonOf(status)));
  result->set_message(std::string(status.message()));
}

absl::Status StatusOf(const wire::ChunkResult& result) {
  if (result.code() == 0) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(result.code());
  absl::Status status =
      WithErrno(absl::Status(code, result.message()), static_cast<int>(result.err()));
  if (result.reason() == 0) return status;
  return WithReason(std::move(status), static_cast<Reason>(result.reason()));
}

}  // namespace penstock::chunkserver

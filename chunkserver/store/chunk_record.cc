#include "chunkserver/store/chunk_record.h"

#include <algorithm>

#include "chunkserver/store/little_endian.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

constexpr uint8_t kHasCommitted = 1;
constexpr uint8_t kHasPending = 2;
constexpr uint8_t kPendingHasChannels = 4;
constexpr uint8_t kImageQuarantined = 1;

void PutVersion(std::string& out, ChunkVersion version) {
  PutWord(out, version.epoch);
  PutWord(out, version.sequence);
}

ChunkVersion GetVersion(WordReader& in) {
  ChunkVersion version;
  version.epoch = in.Get<uint32_t>();
  version.sequence = in.Get<uint64_t>();
  return version;
}

void PutStamp(std::string& out, const WriteStamp& stamp) {
  PutWord(out, stamp.session.value());
  PutWord(out, stamp.channel);
  PutWord(out, stamp.sequence);
}

WriteStamp GetStamp(WordReader& in) {
  WriteStamp stamp;
  stamp.session = SessionId(in.Get<uint64_t>());
  stamp.channel = in.Get<uint32_t>();
  stamp.sequence = in.Get<uint64_t>();
  return stamp;
}

void PutImage(std::string& out, const ChunkImage& image) {
  PutWord(out, image.encoding);
  PutWord(out, image.quarantined ? kImageQuarantined : uint8_t{0});
  PutWord(out, image.slot.slab);
  PutWord(out, image.slot.index);
  PutWord(out, image.slot.bytes);
  PutWord(out, image.stored_length);
  PutWord(out, image.logical_length);
  PutWord(out, image.high_water);
  for (uint32_t crc : image.block_crcs) PutWord(out, crc);
  PutWord(out, static_cast<uint16_t>(image.patches.size()));
  for (const Patch& patch : image.patches) {
    PutWord(out, patch.id);
    PutWord(out, patch.offset);
    PutWord(out, patch.length);
  }
}

absl::Status GetImage(WordReader& in, ChunkImage& image) {
  image.encoding = in.Get<uint8_t>();
  if (in.ok() && image.encoding != kEncodingRaw) {
    return absl::FailedPreconditionError(
        absl::StrCat("chunk record: unknown encoding ", image.encoding));
  }
  image.quarantined = (in.Get<uint8_t>() & kImageQuarantined) != 0;
  image.slot.slab = in.Get<uint32_t>();
  image.slot.index = in.Get<uint32_t>();
  image.slot.bytes = in.Get<uint32_t>();
  image.stored_length = in.Get<uint32_t>();
  image.logical_length = in.Get<uint32_t>();
  image.high_water = in.Get<uint32_t>();
  const uint32_t blocks = BlocksOf(image.stored_length);
  if (image.stored_length > image.slot.bytes || image.stored_length > image.logical_length ||
      in.rest().size() < uint64_t{blocks} * sizeof(uint32_t)) {
    return absl::DataLossError("chunk record: damaged image");
  }
  image.block_crcs.resize(blocks);
  for (uint32_t& crc : image.block_crcs) crc = in.Get<uint32_t>();
  image.patches.resize(in.Get<uint16_t>());
  for (Patch& patch : image.patches) {
    patch.id = in.Get<uint64_t>();
    patch.offset = in.Get<uint32_t>();
    patch.length = in.Get<uint32_t>();
    if (uint64_t{patch.offset} + patch.length > image.stored_length) {
      return absl::DataLossError("chunk record: patch outside the chunk");
    }
  }
  return absl::OkStatus();
}

void AddChannel(std::vector<ChannelRecord>& channels, const WriteStamp& stamp,
                ChunkVersion version) {
  std::erase_if(channels, [&](const ChannelRecord& c) {
    return c.stamp.session == stamp.session && c.stamp.channel == stamp.channel;
  });
  channels.push_back({stamp, version});
  if (channels.size() > kChannelsKept) channels.erase(channels.begin());
}

void PutChannels(std::string& out, const std::vector<ChannelRecord>& channels) {
  PutWord(out, static_cast<uint8_t>(channels.size()));
  for (const ChannelRecord& channel : channels) {
    PutStamp(out, channel.stamp);
    PutVersion(out, channel.version);
  }
}

std::vector<ChannelRecord> GetChannels(WordReader& in) {
  std::vector<ChannelRecord> channels(in.Get<uint8_t>());
  for (ChannelRecord& channel : channels) {
    channel.stamp = GetStamp(in);
    channel.version = GetVersion(in);
  }
  return channels;
}

bool Contains(const std::vector<Slot>& slots, const Slot& slot) {
  return std::find(slots.begin(), slots.end(), slot) != slots.end();
}

std::vector<uint64_t> PatchesOf(const ChunkRecord* record) {
  std::vector<uint64_t> ids;
  if (record == nullptr) return ids;
  for (const Patch& p : record->image.patches) ids.push_back(p.id);
  if (record->pending) {
    for (const Patch& p : record->pending->image.patches) ids.push_back(p.id);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

}  // namespace

std::string EncodeRecord(const ChunkRecord& record) {
  std::string out;
  out.reserve(128 + 4 * record.image.block_crcs.size() +
              (record.pending ? 4 * record.pending->image.block_crcs.size() : 0));
  PutWord(out, kRecordFormat);
  const uint8_t flags = (record.version.valid() ? kHasCommitted : 0) |
                        (record.pending ? kHasPending : 0) |
                        (record.pending && record.pending->channels ? kPendingHasChannels : 0);
  PutWord(out, flags);
  PutWord(out, record.interval);
  if (record.version.valid()) {
    PutVersion(out, record.version);
    PutImage(out, record.image);
    PutChannels(out, record.channels);
  }
  if (record.pending) {
    PutVersion(out, record.pending->version);
    PutWord(out, static_cast<uint8_t>(record.pending->kind));
    PutStamp(out, record.pending->stamp);
    PutImage(out, record.pending->image);
    if (record.pending->channels) PutChannels(out, *record.pending->channels);
  }
  return out;
}

absl::StatusOr<ChunkRecord> DecodeRecord(std::string_view bytes) {
  WordReader in(bytes);
  const uint8_t format = in.Get<uint8_t>();
  if (in.ok() && format != kRecordFormat) {
    return absl::FailedPreconditionError(absl::StrCat("chunk record: unknown format ", format,
                                                      ", this program knows ", kRecordFormat));
  }
  ChunkRecord record;
  const uint8_t flags = in.Get<uint8_t>();
  record.interval = in.Get<uint64_t>();
  if (flags & kHasCommitted) {
    record.version = GetVersion(in);
    RETURN_IF_ERROR(GetImage(in, record.image));
    record.channels = GetChannels(in);
  }
  if (flags & kHasPending) {
    PendingChange& pending = record.pending.emplace();
    pending.version = GetVersion(in);
    pending.kind = static_cast<ChangeKind>(in.Get<uint8_t>());
    pending.stamp = GetStamp(in);
    RETURN_IF_ERROR(GetImage(in, pending.image));
    if (flags & kPendingHasChannels) pending.channels = GetChannels(in);
  }
  if (!in.ok() || !in.rest().empty()) return absl::DataLossError("chunk record: wrong length");
  return record;
}

ChunkInfo InfoOf(const ChunkRecord& record) {
  ChunkInfo info;
  info.committed = record.version;
  info.logical_length = record.image.logical_length;
  info.stored_length = record.image.stored_length;
  info.channels = record.channels;
  info.quarantined = record.image.quarantined;
  if (record.pending) {
    info.pending = record.pending->version;
    info.pending_kind = record.pending->kind;
    info.pending_deletes = record.pending->deletes();
    if (!info.pending_deletes) info.pending_stored_length = record.pending->image.stored_length;
    for (const ChannelRecord& channel :
         record.pending->channels.value_or(std::vector<ChannelRecord>())) {
      AddChannel(info.channels, channel.stamp, channel.version);
    }
    AddChannel(info.channels, record.pending->stamp, record.pending->version);
  }
  return info;
}

bool IsDamaged(const ChunkRecord* record) {
  return record != nullptr && record->version.valid() && record->image.quarantined;
}

void PromotePending(ChunkRecord& record) {
  // What was built on rotten bytes in the same slot is rotten too.
  record.pending->image.quarantined |=
      record.image.quarantined && record.pending->image.slot == record.image.slot;
  record.version = record.pending->version;
  record.image = std::move(record.pending->image);
  if (record.pending->channels) record.channels = *std::move(record.pending->channels);
  AddChannel(record.channels, record.pending->stamp, record.version);
  record.pending.reset();
}

std::vector<ChannelRecord> KeptChannels(const std::vector<ChannelRecord>& channels) {
  std::vector<ChannelRecord> kept;
  for (const ChannelRecord& channel : channels) AddChannel(kept, channel.stamp, channel.version);
  return kept;
}

void DropPending(ChunkRecord& record) {
  // What the dropped version wrote in place lies above the committed bytes of the slot and may
  // still be named by the record that a power cut would restore.
  if (record.image.slot.valid() && record.pending->image.slot == record.image.slot) {
    record.image.high_water = std::max(record.image.high_water, record.pending->image.high_water);
  }
  record.pending.reset();
}

std::vector<Slot> SlotsOf(const ChunkRecord* record) {
  std::vector<Slot> slots;
  if (record == nullptr) return slots;
  if (record->image.slot.valid()) slots.push_back(record->image.slot);
  if (record->pending && record->pending->image.slot.valid() &&
      !Contains(slots, record->pending->image.slot)) {
    slots.push_back(record->pending->image.slot);
  }
  return slots;
}

void ResourceChange::Add(ResourceChange&& other) {
  allocated.insert(allocated.end(), other.allocated.begin(), other.allocated.end());
  freed.insert(freed.end(), other.freed.begin(), other.freed.end());
  freed_patches.insert(freed_patches.end(), other.freed_patches.begin(), other.freed_patches.end());
  stored_bytes += other.stored_bytes;
  chunks += other.chunks;
  damaged += other.damaged;
}

ResourceChange ChangeBetween(const ChunkRecord* before, const ChunkRecord* after) {
  ResourceChange change;
  const std::vector<Slot> old_slots = SlotsOf(before), new_slots = SlotsOf(after);
  for (const Slot& slot : new_slots) {
    if (!Contains(old_slots, slot)) change.allocated.push_back(slot);
  }
  for (const Slot& slot : old_slots) {
    if (!Contains(new_slots, slot)) change.freed.push_back(slot);
  }
  const std::vector<uint64_t> old_patches = PatchesOf(before), new_patches = PatchesOf(after);
  std::set_difference(old_patches.begin(), old_patches.end(), new_patches.begin(),
                      new_patches.end(), std::back_inserter(change.freed_patches));
  auto stored = [](const ChunkRecord* r) { return r ? int64_t{r->image.stored_length} : 0; };
  auto count = [](const ChunkRecord* r) { return r && r->version.valid() ? 1 : 0; };
  change.stored_bytes = stored(after) - stored(before);
  change.chunks = count(after) - count(before);
  change.damaged = (IsDamaged(after) ? 1 : 0) - (IsDamaged(before) ? 1 : 0);
  return change;
}

}  // namespace penstock::chunkserver

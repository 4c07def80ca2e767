// Names, datasets, orphans, dead contents, sessions (docs/formats/metadata.md).
#include "metaserver/store/keys.h"
#include "metaserver/store/record_codec.h"
#include "metaserver/store/record_format.h"
#include "metaserver/store/records.h"

namespace penstock::metaserver {

std::string EncodeDentry(const Dentry& dentry) {
  RecordWriter out;
  out.U8(kRecordFormat);
  out.U64(dentry.local);
  out.U8(static_cast<uint8_t>(dentry.type >> 12));
  return out.Take();
}

absl::StatusOr<Dentry> DecodeDentry(std::string_view bytes) {
  RecordReader in(bytes);
  RETURN_IF_ERROR(CheckRecordFormat(in, "name"));
  Dentry dentry;
  dentry.local = in.U64();
  dentry.type = uint32_t{in.U8()} << 12;
  if (!in.finished() || dentry.local == 0) return DamagedRecord("name");
  return dentry;
}

std::string EncodeCounters(const DatasetCounters& counters) {
  RecordWriter out;
  out.U8(kRecordFormat);
  out.I64(counters.inodes);
  out.I64(counters.bytes);
  return out.Take();
}

absl::StatusOr<DatasetCounters> DecodeCounters(std::string_view bytes) {
  RecordReader in(bytes);
  RETURN_IF_ERROR(CheckRecordFormat(in, "counters"));
  DatasetCounters counters;
  counters.inodes = in.I64();
  counters.bytes = in.I64();
  if (!in.finished()) return DamagedRecord("counters");
  return counters;
}

std::string EncodeDataset(const Dataset& dataset) {
  RecordWriter out;
  out.U8(kRecordFormat);
  out.Bytes(dataset.name);
  out.U64(dataset.root_local);
  out.U32(dataset.base.value());
  out.U32(dataset.storage_class);
  out.U8(dataset.chunk_size_log2);
  WriteTime(out, dataset.created);
  return out.Take();
}

absl::StatusOr<Dataset> DecodeDataset(DatasetId id, std::string_view bytes) {
  RecordReader in(bytes);
  RETURN_IF_ERROR(CheckRecordFormat(in, "dataset"));
  Dataset dataset;
  dataset.id = id;
  dataset.name = in.Bytes();
  dataset.root_local = in.U64();
  dataset.base = DatasetId(in.U32());
  dataset.storage_class = in.U32();
  dataset.chunk_size_log2 = in.U8();
  dataset.created = ReadTime(in);
  if (!in.finished()) return DamagedRecord("dataset");
  return dataset;
}

std::string EncodeOrphan(const Orphan& orphan) {
  RecordWriter out;
  out.U8(kRecordFormat);
  out.U32(static_cast<uint32_t>(orphan.holders.size()));
  for (SessionId holder : orphan.holders) out.U64(holder.value());
  return out.Take();
}

absl::StatusOr<Orphan> DecodeOrphan(std::string_view key, std::string_view bytes) {
  RecordReader in(bytes);
  RETURN_IF_ERROR(CheckRecordFormat(in, "orphan"));
  Orphan orphan;
  uint64_t ino = 0;
  RETURN_IF_ERROR(ParseTimedKey(key, orphan.since, ino));
  orphan.ino = InodeNumber(ino);
  const uint32_t holders = in.U32();
  for (uint32_t i = 0; i < holders && in.ok(); ++i) orphan.holders.emplace_back(in.U64());
  if (!in.finished()) return DamagedRecord("orphan");
  return orphan;
}

std::string EncodeDeadContent(const DeadContent& dead) {
  RecordWriter out;
  out.U8(kRecordFormat);
  const bool with_base = dead.layout.base_content.valid();
  out.U8(with_base ? 1 : 0);
  WriteLayout(out, dead.layout, with_base);
  out.U64(dead.chunk_count);
  return out.Take();
}

absl::StatusOr<DeadContent> DecodeDeadContent(std::string_view key, std::string_view bytes) {
  RecordReader in(bytes);
  RETURN_IF_ERROR(CheckRecordFormat(in, "dead content"));
  DeadContent dead;
  uint64_t content = 0;
  RETURN_IF_ERROR(ParseTimedKey(key, dead.since, content));
  dead.content = ContentId(content);
  const bool with_base = in.U8() != 0;
  dead.layout = ReadLayout(in, with_base);
  dead.chunk_count = in.U64();
  if (!in.finished()) return DamagedRecord("dead content");
  return dead;
}

std::string EncodeSession(const SessionRecord& session) {
  RecordWriter out;
  out.U8(kRecordFormat);
  out.Bytes(session.hostname);
  out.Bytes(session.mountpoint);
  out.Bytes(session.version);
  out.Bytes(session.subdir);
  out.Bytes(session.address);
  out.U32(session.pid);
  WriteTime(out, session.opened);
  out.U8(session.ended ? 1 : 0);
  return out.Take();
}

absl::StatusOr<SessionRecord> DecodeSession(SessionId id, std::string_view bytes) {
  RecordReader in(bytes);
  RETURN_IF_ERROR(CheckRecordFormat(in, "session"));
  SessionRecord session;
  session.id = id;
  session.hostname = in.Bytes();
  session.mountpoint = in.Bytes();
  session.version = in.Bytes();
  session.subdir = in.Bytes();
  session.address = in.Bytes();
  session.pid = in.U32();
  session.opened = ReadTime(in);
  session.ended = in.U8() != 0;
  if (!in.finished()) return DamagedRecord("session");
  return session;
}

std::string EncodeSlotResult(const SlotResult& slot) {
  RecordWriter out;
  out.U8(kRecordFormat);
  out.U64(slot.sequence);
  out.Bytes(slot.response);
  return out.Take();
}

absl::StatusOr<SlotResult> DecodeSlotResult(std::string_view bytes) {
  RecordReader in(bytes);
  RETURN_IF_ERROR(CheckRecordFormat(in, "slot"));
  SlotResult slot;
  slot.sequence = in.U64();
  slot.response = in.Bytes();
  if (!in.finished()) return DamagedRecord("slot");
  return slot;
}

}  // namespace penstock::metaserver

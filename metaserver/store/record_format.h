// Parts that several records share.
#pragma once

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "common/status.h"
#include "metaserver/store/record_codec.h"
#include "metaserver/store/records.h"

namespace penstock::metaserver {

// The first byte of a record.
inline constexpr uint8_t kRecordFormat = 1;
inline constexpr uint8_t kInodeFormat = 2;  // of an inode's

inline absl::Status DamagedRecord(std::string_view what) {
  return absl::DataLossError(absl::StrCat("damaged ", std::string(what), " record"));
}

inline absl::Status CheckRecordFormat(RecordReader& in, std::string_view what,
                                      uint8_t known = kRecordFormat) {
  const uint8_t format = in.U8();
  if (!in.ok() || format == 0 || format == 0xff) return DamagedRecord(what);
  if (format != known) {
    return absl::FailedPreconditionError(absl::StrCat(std::string(what), " record has format ",
                                                      format, ", this program knows ", known));
  }
  return absl::OkStatus();
}

inline void WriteTime(RecordWriter& out, const FileTime& time) {
  out.I64(time.seconds);
  out.U32(time.nanos);
}
inline FileTime ReadTime(RecordReader& in) {
  FileTime time;
  time.seconds = in.I64();
  time.nanos = in.U32();
  return time;
}

inline void WriteLayout(RecordWriter& out, const LayoutRecord& record, bool with_base) {
  out.U64(record.layout.content.value());
  out.U32(record.layout.seed);
  out.U8(record.layout.chunk_size_log2);
  out.U32(record.layout.storage_class);
  if (!with_base) return;
  out.U64(record.base_content.value());
  out.U32(record.base_seed);
  out.U64(record.base_length);
}
inline LayoutRecord ReadLayout(RecordReader& in, bool with_base) {
  LayoutRecord record;
  record.layout.content = ContentId(in.U64());
  record.layout.seed = in.U32();
  record.layout.chunk_size_log2 = in.U8();
  record.layout.storage_class = in.U32();
  if (!with_base) return record;
  record.base_content = ContentId(in.U64());
  record.base_seed = in.U32();
  record.base_length = in.U64();
  return record;
}

}  // namespace penstock::metaserver

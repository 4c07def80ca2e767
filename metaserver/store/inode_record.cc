// Inodes and the changes that directories take (docs/formats/metadata.md).
#include "metaserver/store/record_codec.h"
#include "metaserver/store/record_format.h"
#include "metaserver/store/records.h"

namespace penstock::metaserver {
namespace {

// Which optional parts follow the fixed part, in this order.
constexpr uint8_t kHasLayout = 1;
constexpr uint8_t kHasBase = 2;
constexpr uint8_t kHasTruncate = 4;
constexpr uint8_t kHasData = 8;
constexpr uint8_t kInline = 16;
constexpr uint8_t kHasRdev = 32;
constexpr uint8_t kHasAcl = 128;  // nothing follows: the lists are extended attributes
constexpr uint8_t kHasAllocated = 64;

uint8_t PartsOf(const Inode& inode) {
  uint8_t parts = 0;
  if (inode.layout.layout.content.valid()) parts |= kHasLayout;
  if (inode.layout.base_content.valid()) parts |= kHasBase;
  if (inode.truncate.id != 0) parts |= kHasTruncate;
  if (!inode.data.empty()) parts |= kHasData;
  if (inode.is_inline) parts |= kInline;
  if (inode.rdev != 0) parts |= kHasRdev;
  if (inode.has_acl) parts |= kHasAcl;
  if (inode.allocated != 0) parts |= kHasAllocated;
  return parts;
}

}  // namespace

FileTime ToFileTime(absl::Time time) {
  int64_t seconds = absl::ToUnixSeconds(time);
  const int64_t nanos = absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds));
  return {seconds, static_cast<uint32_t>(nanos)};
}

absl::Time ToAbslTime(FileTime time) {
  return absl::FromUnixSeconds(time.seconds) + absl::Nanoseconds(time.nanos);
}

std::string EncodeInode(const Inode& inode) {
  RecordWriter out;
  const uint8_t parts = PartsOf(inode);
  out.U8(kInodeFormat);
  out.U8(parts);
  out.U32(inode.mode);
  out.U32(inode.nlink);
  out.U32(inode.uid);
  out.U32(inode.gid);
  out.U64(inode.size);
  for (const FileTime& time : {inode.atime, inode.mtime, inode.ctime, inode.btime}) {
    WriteTime(out, time);
  }
  out.U64(inode.data_version);
  out.U64(inode.change);
  out.U64(inode.parent_local);
  if (parts & kHasRdev) out.U64(inode.rdev);
  if (parts & kHasAllocated) out.U64(inode.allocated);
  if (parts & kHasLayout) WriteLayout(out, inode.layout, (parts & kHasBase) != 0);
  if (parts & kHasTruncate) {
    out.U64(inode.truncate.id);
    out.U64(inode.truncate.old_size);
    out.U64(inode.truncate.session.value());
  }
  if (parts & kHasData) out.Bytes(inode.data);
  return out.Take();
}

absl::StatusOr<Inode> DecodeInode(InodeNumber ino, std::string_view bytes) {
  RecordReader in(bytes);
  RETURN_IF_ERROR(CheckRecordFormat(in, "inode", kInodeFormat));
  Inode inode;
  inode.ino = ino;
  const uint8_t parts = in.U8();
  inode.mode = in.U32();
  inode.nlink = in.U32();
  inode.uid = in.U32();
  inode.gid = in.U32();
  inode.size = in.U64();
  inode.atime = ReadTime(in);
  inode.mtime = ReadTime(in);
  inode.ctime = ReadTime(in);
  inode.btime = ReadTime(in);
  inode.data_version = in.U64();
  inode.change = in.U64();
  inode.parent_local = in.U64();
  if (parts & kHasRdev) inode.rdev = in.U64();
  if (parts & kHasAllocated) inode.allocated = in.U64();
  if (parts & kHasLayout) inode.layout = ReadLayout(in, (parts & kHasBase) != 0);
  if (parts & kHasTruncate) {
    inode.truncate.id = in.U64();
    inode.truncate.old_size = in.U64();
    inode.truncate.session = SessionId(in.U64());
  }
  if (parts & kHasData) inode.data = in.Bytes();
  inode.is_inline = (parts & kInline) != 0;
  inode.has_acl = (parts & kHasAcl) != 0;
  if (!in.finished()) return DamagedRecord("inode");
  return inode;
}

std::string EncodeDirectoryChange(const DirectoryChange& change) {
  RecordWriter out;
  out.U8(kRecordFormat);
  out.I64(change.entries);
  out.U32(static_cast<uint32_t>(change.links));
  WriteTime(out, change.time);
  out.U64(change.changes);
  return out.Take();
}

absl::StatusOr<DirectoryChange> DecodeDirectoryChange(std::string_view bytes) {
  RecordReader in(bytes);
  RETURN_IF_ERROR(CheckRecordFormat(in, "directory change"));
  DirectoryChange change;
  change.entries = in.I64();
  change.links = static_cast<int32_t>(in.U32());
  change.time = ReadTime(in);
  change.changes = in.U64();
  if (!in.finished()) return DamagedRecord("directory change");
  return change;
}

void ApplyDirectoryChange(const DirectoryChange& change, Inode& directory) {
  directory.size += static_cast<uint64_t>(change.entries);
  directory.nlink += static_cast<uint32_t>(change.links);
  directory.mtime = change.time;
  directory.ctime = change.time;
  directory.change += change.changes;
  directory.data_version += change.changes;
}

}  // namespace penstock::metaserver

#include "common/backup_file.h"

#include <absl/strings/str_cat.h>

#include <filesystem>

#include "common/checksum.h"
#include "common/compression.h"
#include "common/status.h"

namespace penstock {
namespace {

constexpr std::string_view kMagic = "PENSTBAK";
constexpr size_t kFileHeaderBytes = 16;   // magic, format, checksum of both
constexpr size_t kFrameHeaderBytes = 24;  // see docs/formats/backup.md
constexpr uint8_t kRaw = 0;
constexpr uint8_t kZstd = 1;

void AppendLittle32(std::string& out, uint32_t value) {
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}
uint32_t ReadLittle32(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) {
    value |= uint32_t{static_cast<uint8_t>(bytes[at + i])} << (8 * i);
  }
  return value;
}

std::string PartialName(const std::string& path) { return path + ".partial"; }
std::string ParentOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent;
}

}  // namespace

absl::StatusOr<std::unique_ptr<BackupWriter>> BackupWriter::Create(const std::string& path,
                                                                   FileSystem* fs) {
  ASSIGN_OR_RETURN(const bool exists, fs->Exists(path));
  if (exists) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, " exists; a backup overwrites nothing, give it another name"));
  }
  ASSIGN_OR_RETURN(auto file, fs->Open(PartialName(path), {.create = true, .truncate = true}));
  std::unique_ptr<BackupWriter> writer(new BackupWriter(path, std::move(file), fs));
  std::string header(kMagic);
  AppendLittle32(header, kBackupFormat);
  AppendLittle32(header, Crc32c(header));
  RETURN_IF_ERROR(writer->Put(header));
  return writer;
}

BackupWriter::~BackupWriter() {
  if (finished_) return;
  file_.reset();
  fs_->Remove(PartialName(path_)).IgnoreError();  // the error that led here counts
}

absl::Status BackupWriter::Put(std::string_view bytes) {
  RETURN_IF_ERROR(file_->Write(offset_, bytes));
  offset_ += bytes.size();
  return absl::OkStatus();
}

absl::Status BackupWriter::Append(BackupFrame frame, std::string_view payload) {
  if (payload.size() > kMaxBackupFrameBytes) {
    return absl::InvalidArgumentError("a frame of a backup is too large");
  }
  ASSIGN_OR_RETURN(const std::string compressed, Compress(payload));
  const bool smaller = compressed.size() < payload.size();
  const std::string_view stored = smaller ? std::string_view(compressed) : payload;
  std::string header;
  header.push_back(static_cast<char>(frame));
  header.push_back(static_cast<char>(smaller ? kZstd : kRaw));
  header.append(2, '\0');
  AppendLittle32(header, frames_);
  AppendLittle32(header, static_cast<uint32_t>(stored.size()));
  AppendLittle32(header, static_cast<uint32_t>(payload.size()));
  AppendLittle32(header, Crc32c(stored));
  AppendLittle32(header, Crc32c(header));
  RETURN_IF_ERROR(Put(header));
  RETURN_IF_ERROR(Put(stored));
  ++frames_;
  return absl::OkStatus();
}

absl::Status BackupWriter::Finish() {
  RETURN_IF_ERROR(file_->DataSync());
  file_.reset();
  RETURN_IF_ERROR(fs_->Rename(PartialName(path_), path_));
  finished_ = true;
  return fs_->SyncDirectory(ParentOf(path_));
}

absl::StatusOr<std::unique_ptr<BackupReader>> BackupReader::Open(const std::string& path,
                                                                 FileSystem* fs) {
  ASSIGN_OR_RETURN(auto file, fs->Open(path, {.read_only = true}));
  ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  std::unique_ptr<BackupReader> reader(new BackupReader(std::move(file), size));
  ASSIGN_OR_RETURN(const std::string header, reader->Take(kFileHeaderBytes, "header"));
  if (header.compare(0, kMagic.size(), kMagic) != 0) {
    return absl::DataLossError(absl::StrCat(path, " is no backup of Penstock"));
  }
  if (Crc32c(std::string_view(header).substr(0, 12)) != ReadLittle32(header, 12)) {
    return absl::DataLossError("the backup's header is damaged");
  }
  if (const uint32_t format = ReadLittle32(header, 8); format != kBackupFormat) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the backup has format ", format, ", this program knows format ", kBackupFormat));
  }
  return reader;
}

absl::StatusOr<std::string> BackupReader::Take(size_t bytes, std::string_view what) {
  if (bytes > size_ - offset_) {
    return absl::DataLossError(absl::StrCat("the backup ends in the middle of its ",
                                            std::string(what), ", at byte ", offset_,
                                            ": it is not whole"));
  }
  std::string into(bytes, '\0');
  ASSIGN_OR_RETURN(const size_t got, file_->Read(offset_, absl::MakeSpan(into)));
  if (got != bytes) return absl::DataLossError("the backup became shorter while it was read");
  offset_ += bytes;
  return into;
}

absl::StatusOr<BackupReader::Read> BackupReader::Next() {
  if (ended_) {
    if (offset_ != size_) return absl::DataLossError("something follows the backup's end");
    return absl::OutOfRangeError("the end of the backup");
  }
  const uint64_t at = offset_;
  ASSIGN_OR_RETURN(const std::string header, Take(kFrameHeaderBytes, "frames"));
  auto damaged = [&](std::string_view what) {
    return absl::DataLossError(
        absl::StrCat("the backup is damaged at byte ", at, ": ", std::string(what)));
  };
  if (Crc32c(std::string_view(header).substr(0, 20)) != ReadLittle32(header, 20)) {
    return damaged("a frame's header has the wrong checksum");
  }
  const auto kind = static_cast<uint8_t>(header[0]);
  const auto encoding = static_cast<uint8_t>(header[1]);
  if (kind < 1 || kind > 3 || encoding > kZstd) return damaged("a frame of an unknown kind");
  if (ReadLittle32(header, 4) != frames_) return damaged("a frame is missing or there twice");
  const uint32_t stored_bytes = ReadLittle32(header, 8);
  const uint32_t plain_bytes = ReadLittle32(header, 12);
  if (stored_bytes > kMaxBackupFrameBytes || plain_bytes > kMaxBackupFrameBytes) {
    return damaged("a frame is too large");
  }
  ASSIGN_OR_RETURN(std::string payload, Take(stored_bytes, "frames"));
  if (Crc32c(payload) != ReadLittle32(header, 16)) return damaged("a frame has the wrong checksum");
  if (encoding == kZstd) {
    auto plain = Decompress(payload, plain_bytes);
    if (!plain.ok()) return damaged(std::string(plain.status().message()));
    payload = *std::move(plain);
  }
  if (payload.size() != plain_bytes) return damaged("a frame has the wrong length");
  ++frames_;
  ended_ = kind == static_cast<uint8_t>(BackupFrame::kEnd);
  return Read{static_cast<BackupFrame>(kind), std::move(payload)};
}

}  // namespace penstock

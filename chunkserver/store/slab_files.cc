#include "chunkserver/store/slab_files.h"

#include <absl/strings/str_format.h>

#include <algorithm>

#include "common/status.h"

namespace penstock::chunkserver {

std::string SlabFiles::PathOf(uint32_t slab) const {
  return absl::StrFormat("%s/%08x.slab", dir_, slab);
}

absl::StatusOr<std::shared_ptr<File>> SlabFiles::OpenFile(uint32_t slab, bool create) {
  ASSIGN_OR_RETURN(std::shared_ptr<File> file, fs_->Open(PathOf(slab), OpenMode{.create = create}));
  absl::MutexLock lock(&mu_);
  while (open_.size() >= kOpenFiles) open_.erase(open_.begin());
  return open_.emplace(slab, std::move(file)).first->second;
}

absl::StatusOr<std::shared_ptr<File>> SlabFiles::Get(uint32_t slab) {
  {
    absl::MutexLock lock(&mu_);
    auto it = open_.find(slab);
    if (it != open_.end()) return it->second;
  }
  return OpenFile(slab, false);
}

absl::Status SlabFiles::Create(uint32_t slab, bool blank) {
  ASSIGN_OR_RETURN(std::shared_ptr<File> file, OpenFile(slab, true));
  if (blank) RETURN_IF_ERROR(file->Truncate(0));
  RETURN_IF_ERROR(file->Truncate(slab_bytes_));
  absl::MutexLock lock(&mu_);
  directory_dirty_ = true;
  dirty_.insert(slab);
  return absl::OkStatus();
}

absl::Status SlabFiles::Read(uint32_t slab, uint64_t offset, absl::Span<char> into) {
  ASSIGN_OR_RETURN(std::shared_ptr<File> file, Get(slab));
  ASSIGN_OR_RETURN(size_t count, file->Read(offset, into));
  if (count != into.size()) return absl::DataLossError("slab file is too short");
  return absl::OkStatus();
}

absl::Status SlabFiles::ReadNoWait(uint32_t slab, uint64_t offset, absl::Span<char> into) {
  ASSIGN_OR_RETURN(std::shared_ptr<File> file, Get(slab));
  ASSIGN_OR_RETURN(size_t count, file->ReadNoWait(offset, into));
  if (count != into.size()) return absl::AbortedError("not all of it is in memory");
  return absl::OkStatus();
}

absl::Status SlabFiles::ReadFromDisk(uint32_t slab, uint64_t offset, absl::Span<char> into) {
  ASSIGN_OR_RETURN(std::shared_ptr<File> file, Get(slab));
  ASSIGN_OR_RETURN(size_t count, file->ReadFromDisk(offset, into));
  if (count != into.size()) return absl::DataLossError("slab file is too short");
  return absl::OkStatus();
}

absl::Status SlabFiles::Write(uint32_t slab, uint64_t offset, std::string_view data) {
  ASSIGN_OR_RETURN(std::shared_ptr<File> file, Get(slab));
  absl::Status written = file->Write(offset, data);
  MarkDirty(slab);
  return written;
}

absl::Status SlabFiles::WriteZeros(uint32_t slab, uint64_t offset, uint64_t length) {
  static const std::string zeros(256 * 1024, '\0');
  while (length > 0) {
    const uint64_t part = std::min<uint64_t>(length, zeros.size());
    RETURN_IF_ERROR(Write(slab, offset, std::string_view(zeros).substr(0, part)));
    offset += part;
    length -= part;
  }
  return absl::OkStatus();
}

absl::Status SlabFiles::Punch(uint32_t slab, uint64_t offset, uint64_t length) {
  ASSIGN_OR_RETURN(std::shared_ptr<File> file, Get(slab));
  return file->PunchHole(offset, length);
}

void SlabFiles::MarkDirty(uint32_t slab) {
  absl::MutexLock lock(&mu_);
  dirty_.insert(slab);
}

absl::Status SlabFiles::SyncDirty() {
  absl::flat_hash_set<uint32_t> dirty;
  bool directory_dirty = false;
  {
    absl::MutexLock lock(&mu_);
    dirty.swap(dirty_);
    std::swap(directory_dirty, directory_dirty_);
  }
  for (uint32_t slab : dirty) {
    ASSIGN_OR_RETURN(std::shared_ptr<File> file, Get(slab));
    RETURN_IF_ERROR(Annotate(file->DataSync(), "sync slab"));
  }
  if (directory_dirty) RETURN_IF_ERROR(Annotate(fs_->SyncDirectory(dir_), "sync slab directory"));
  return absl::OkStatus();
}

}  // namespace penstock::chunkserver

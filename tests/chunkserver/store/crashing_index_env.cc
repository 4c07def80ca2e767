#include "tests/chunkserver/store/crashing_index_env.h"

#include <filesystem>
#include <fstream>

namespace penstock::testing {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

IOStatus Dead() { return IOStatus::IOError("the machine is off"); }

class CrashingFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  CrashingFile(CrashingIndexFileSystem* fs, std::string name, uint64_t size,
               std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)), fs_(fs), name_(std::move(name)), size_(size) {}

  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  IODebugContext* debug) override {
    if (!fs_->crash()->Allow()) return Dead();
    IOStatus done = FSWritableFileOwnerWrapper::Append(data, options, debug);
    if (done.ok()) fs_->Grew(name_, size_ += data.size());
    return done;
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo&, IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    if (!fs_->crash()->Allow()) return Dead();
    return FSWritableFileOwnerWrapper::Truncate(size, options, debug);
  }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    if (!fs_->crash()->Allow()) return Dead();
    fs_->Synced(name_);
    return IOStatus::OK();
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return Sync(options, debug);
  }
  IOStatus RangeSync(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }
  IOStatus Allocate(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();
  }

 private:
  CrashingIndexFileSystem* const fs_;
  const std::string name_;
  uint64_t size_;
};

class UnreadableFile : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  UnreadableFile(CrashingIndexFileSystem* fs, std::unique_ptr<rocksdb::FSRandomAccessFile> file)
      : FSRandomAccessFileOwnerWrapper(std::move(file)), fs_(fs) {}

  IOStatus Read(uint64_t offset, size_t length, const IOOptions& options, rocksdb::Slice* result,
                char* scratch, IODebugContext* debug) const override {
    if (fs_->fail_table_reads()) return IOStatus::IOError("a sector cannot be read");
    return FSRandomAccessFileOwnerWrapper::Read(offset, length, options, result, scratch, debug);
  }
  IOStatus MultiRead(rocksdb::FSReadRequest* requests, size_t count, const IOOptions& options,
                     IODebugContext* debug) override {
    return FSRandomAccessFile::MultiRead(requests, count, options, debug);
  }

 private:
  CrashingIndexFileSystem* const fs_;
};

class CrashingDirectory : public rocksdb::FSDirectoryWrapper {
 public:
  CrashingDirectory(CrashingIndexFileSystem* fs, std::string name,
                    std::unique_ptr<rocksdb::FSDirectory> directory)
      : FSDirectoryWrapper(std::move(directory)), fs_(fs), name_(std::move(name)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    if (!fs_->crash()->Allow()) return Dead();
    fs_->DirectorySynced(name_);
    return IOStatus::OK();
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* debug,
                               const rocksdb::DirFsyncOptions&) override {
    return Fsync(options, debug);
  }

 private:
  CrashingIndexFileSystem* const fs_;
  const std::string name_;
};

std::string DirectoryOf(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

}  // namespace

IOStatus CrashingIndexFileSystem::NewWritableFile(const std::string& name,
                                                  const rocksdb::FileOptions& options,
                                                  std::unique_ptr<rocksdb::FSWritableFile>* file,
                                                  IODebugContext* debug) {
  if (!crash_->Allow()) return Dead();
  IOStatus made = FileSystemWrapper::NewWritableFile(name, options, file, debug);
  if (!made.ok()) return made;
  {
    absl::MutexLock lock(&mu_);
    files_[name] = Tracked();
  }
  *file = std::make_unique<CrashingFile>(this, name, 0, std::move(*file));
  return made;
}

IOStatus CrashingIndexFileSystem::ReopenWritableFile(const std::string& name,
                                                     const rocksdb::FileOptions& options,
                                                     std::unique_ptr<rocksdb::FSWritableFile>* file,
                                                     IODebugContext* debug) {
  if (!crash_->Allow()) return Dead();
  IOStatus made = FileSystemWrapper::ReopenWritableFile(name, options, file, debug);
  if (!made.ok()) return made;
  *file = std::make_unique<CrashingFile>(this, name, std::filesystem::file_size(name),
                                         std::move(*file));
  return made;
}

IOStatus CrashingIndexFileSystem::NewRandomAccessFile(
    const std::string& name, const rocksdb::FileOptions& options,
    std::unique_ptr<rocksdb::FSRandomAccessFile>* file, IODebugContext* debug) {
  IOStatus done = FileSystemWrapper::NewRandomAccessFile(name, options, file, debug);
  if (done.ok() && name.ends_with(".sst")) {
    *file = std::make_unique<UnreadableFile>(this, std::move(*file));
  }
  return done;
}

IOStatus CrashingIndexFileSystem::NewDirectory(const std::string& name, const IOOptions& options,
                                               std::unique_ptr<rocksdb::FSDirectory>* directory,
                                               IODebugContext* debug) {
  IOStatus made = FileSystemWrapper::NewDirectory(name, options, directory, debug);
  if (made.ok()) {
    *directory = std::make_unique<CrashingDirectory>(this, name, std::move(*directory));
  }
  return made;
}

IOStatus CrashingIndexFileSystem::DeleteFile(const std::string& name, const IOOptions& options,
                                             IODebugContext* debug) {
  if (!crash_->Allow()) return Dead();
  absl::MutexLock lock(&mu_);
  files_.erase(name);
  return FileSystemWrapper::DeleteFile(name, options, debug);
}

IOStatus CrashingIndexFileSystem::RenameFile(const std::string& from, const std::string& to,
                                             const IOOptions& options, IODebugContext* debug) {
  if (!crash_->Allow()) return Dead();
  absl::MutexLock lock(&mu_);
  if (!replaced_.contains(to)) {
    std::optional<std::string>& before = replaced_[to];
    if (std::filesystem::exists(to)) {
      std::ifstream file(to, std::ios::binary);
      before.emplace(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
  }
  if (auto it = files_.find(from); it != files_.end()) {
    files_[to] = it->second;
    files_.erase(from);
  }
  return FileSystemWrapper::RenameFile(from, to, options, debug);
}

void CrashingIndexFileSystem::Grew(const std::string& name, uint64_t size) {
  absl::MutexLock lock(&mu_);
  files_[name].size = size;
}

void CrashingIndexFileSystem::Synced(const std::string& name) {
  absl::MutexLock lock(&mu_);
  files_[name].synced = files_[name].size;
}

void CrashingIndexFileSystem::DirectorySynced(const std::string& directory) {
  absl::MutexLock lock(&mu_);
  for (auto& [name, file] : files_) {
    if (DirectoryOf(name) == DirectoryOf(directory + "/x")) file.named = true;
  }
  std::erase_if(replaced_, [&](const auto& entry) {
    return DirectoryOf(entry.first) == DirectoryOf(directory + "/x");
  });
}

void CrashingIndexFileSystem::PowerCut(std::mt19937_64& random,
                                       std::optional<int> arrives_percent) {
  absl::MutexLock lock(&mu_);
  for (const auto& [name, file] : files_) {
    if (!std::filesystem::exists(name)) continue;
    if (!file.named) {
      std::filesystem::remove(name);
      continue;
    }
    const uint64_t unsynced = file.size - file.synced;
    const uint64_t kept =
        arrives_percent
            ? unsynced * *arrives_percent / 100
            : std::array<uint64_t, 3>{0, unsynced, random() % (unsynced + 1)}[random() % 3];
    std::filesystem::resize_file(name, file.synced + kept);
    if (!arrives_percent && kept > 0 &&
        (name.find("MANIFEST") != std::string::npos || random() % 4 == 0)) {
      // Pages arrive out of order: a hole in what was not synced. In a manifest, which is written
      // seldom, always.
      std::fstream bytes(name, std::ios::in | std::ios::out | std::ios::binary);
      bytes.seekp(static_cast<int64_t>(file.synced + random() % kept));
      bytes.put('\0');
    }
  }
  files_.clear();
  for (const auto& [name, before] : replaced_) {
    std::filesystem::remove(name);
    if (before) std::ofstream(name, std::ios::binary) << *before;
  }
  replaced_.clear();
}

}  // namespace penstock::testing

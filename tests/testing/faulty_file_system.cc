#include "tests/testing/faulty_file_system.h"

#include <cerrno>
#include <cstring>

#include "common/status.h"

namespace penstock::testing {
namespace {

absl::Status Dead() { return PosixError(EIO, "the machine is off"); }

std::string DirectoryOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

class FaultyFile : public File {
 public:
  FaultyFile(FaultyFileSystem* fs, std::shared_ptr<FaultyFileSystem::Node> node)
      : fs_(fs), node_(std::move(node)) {}

  absl::StatusOr<size_t> Read(uint64_t offset, absl::Span<char> into) override {
    if (fs_->fail_reads_) return PosixError(EIO, "read failed");
    absl::MutexLock lock(&fs_->mu_);
    const auto& content = node_->current;
    if (offset >= content.size) return size_t{0};
    const size_t count = std::min<uint64_t>(into.size(), content.size - offset);
    const auto broken = node_->broken.lower_bound(offset / FaultyFileSystem::kSector);
    if (broken != node_->broken.end() && *broken * FaultyFileSystem::kSector < offset + count) {
      return PosixError(EIO, "a sector cannot be read");
    }
    ForEachSector(offset, count, [&](uint64_t sector, size_t within, size_t at, size_t length) {
      auto it = content.sectors.find(sector);
      if (it == content.sectors.end()) {
        std::memset(into.data() + at, 0, length);
      } else {
        std::memcpy(into.data() + at, it->second.data() + within, length);
      }
    });
    return count;
  }
  absl::StatusOr<size_t> ReadNoWait(uint64_t offset, absl::Span<char> into) override {
    return Read(offset, into);
  }
  absl::StatusOr<size_t> ReadFromDisk(uint64_t offset, absl::Span<char> into) override {
    return Read(offset, into);
  }
  absl::Status Write(uint64_t offset, std::string_view data) override {
    if (fs_->fail_writes_) return PosixError(EIO, "write failed");
    if (fs_->capacity_ != 0 && fs_->used_bytes() + data.size() > fs_->capacity_) {
      return PosixError(ENOSPC, "disk full");
    }
    const bool whole = fs_->Allow();
    // A process or machine may die in the middle of a write.
    if (!whole) data = {};
    absl::MutexLock lock(&fs_->mu_);
    auto& content = node_->current;
    ForEachSector(offset, data.size(),
                  [&](uint64_t sector, size_t within, size_t at, size_t length) {
                    auto& bytes = content.sectors[sector];
                    bytes.resize(FaultyFileSystem::kSector, '\0');
                    std::memcpy(bytes.data() + within, data.data() + at, length);
                    node_->dirty.insert(sector);
                    node_->broken.erase(sector);
                  });
    content.size = std::max<uint64_t>(content.size, data.empty() ? 0 : offset + data.size());
    return whole ? absl::OkStatus() : Dead();
  }
  absl::Status DataSync() override {
    if (fs_->fail_syncs_) return PosixError(EIO, "sync failed");
    if (!fs_->Allow()) return Dead();
    absl::MutexLock lock(&fs_->mu_);
    node_->synced.size = node_->current.size;
    for (uint64_t sector : node_->dirty) CopySector(node_->current, node_->synced, sector);
    node_->dirty.clear();
    return absl::OkStatus();
  }
  absl::Status Truncate(uint64_t size) override {
    if (!fs_->Allow()) return Dead();
    absl::MutexLock lock(&fs_->mu_);
    auto& content = node_->current;
    if (size < content.size) Zero(size, content.size - size);
    content.size = size;
    return absl::OkStatus();
  }
  absl::Status Allocate(uint64_t, uint64_t) override { return absl::OkStatus(); }
  absl::Status PunchHole(uint64_t offset, uint64_t length) override {
    if (!fs_->Allow()) return Dead();
    absl::MutexLock lock(&fs_->mu_);
    Zero(offset, length);
    return absl::OkStatus();
  }
  absl::StatusOr<uint64_t> Size() override {
    absl::MutexLock lock(&fs_->mu_);
    return node_->current.size;
  }

  static void CopySector(const FaultyFileSystem::Content& from, FaultyFileSystem::Content& to,
                         uint64_t sector) {
    auto it = from.sectors.find(sector);
    if (it == from.sectors.end()) {
      to.sectors.erase(sector);
    } else {
      to.sectors[sector] = it->second;
    }
  }

 private:
  template <typename Visit>
  static void ForEachSector(uint64_t offset, size_t count, Visit visit) {
    for (size_t at = 0; at < count;) {
      const uint64_t sector = (offset + at) / FaultyFileSystem::kSector;
      const size_t within = (offset + at) % FaultyFileSystem::kSector;
      const size_t length = std::min<size_t>(FaultyFileSystem::kSector - within, count - at);
      visit(sector, within, at, length);
      at += length;
    }
  }
  void Zero(uint64_t offset, uint64_t length) ABSL_EXCLUSIVE_LOCKS_REQUIRED(fs_->mu_) {
    auto& sectors = node_->current.sectors;
    auto it = sectors.lower_bound(offset / FaultyFileSystem::kSector);
    while (it != sectors.end() && it->first * FaultyFileSystem::kSector < offset + length) {
      const uint64_t start = it->first * FaultyFileSystem::kSector;
      const uint64_t from = std::max(start, offset) - start;
      const uint64_t to = std::min(start + FaultyFileSystem::kSector, offset + length) - start;
      node_->dirty.insert(it->first);
      if (from == 0 && to == FaultyFileSystem::kSector) {
        it = sectors.erase(it);
      } else {
        std::memset(it->second.data() + from, 0, to - from);
        ++it;
      }
    }
  }

  FaultyFileSystem* const fs_;
  const std::shared_ptr<FaultyFileSystem::Node> node_;
};

absl::StatusOr<std::unique_ptr<File>> FaultyFileSystem::Open(const std::string& path,
                                                             OpenMode mode) {
  {
    absl::MutexLock lock(&mu_);
    auto it = names_.find(path);
    if (it != names_.end()) {
      if (mode.exclusive) return PosixError(EEXIST, path);
      auto file = std::make_unique<FaultyFile>(this, it->second);
      if (!mode.truncate) return file;
    } else if (!mode.create) {
      return PosixError(ENOENT, path);
    }
  }
  if (!Allow()) return Dead();
  absl::MutexLock lock(&mu_);
  // A truncated file is a new one under the old name, which is a power cut's stricter reading.
  auto node = std::make_shared<Node>();
  names_[path] = node;
  return std::make_unique<FaultyFile>(this, node);
}

absl::StatusOr<bool> FaultyFileSystem::Exists(const std::string& path) {
  absl::MutexLock lock(&mu_);
  return names_.contains(path) || directories_.contains(path);
}

absl::Status FaultyFileSystem::MakeDirectory(const std::string& path) {
  absl::MutexLock lock(&mu_);
  directories_.insert(path);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> FaultyFileSystem::List(const std::string& dir) {
  absl::MutexLock lock(&mu_);
  if (!directories_.contains(dir)) return PosixError(ENOENT, dir);
  std::set<std::string> found;
  auto add = [&](const std::string& path) {
    if (path.starts_with(dir + "/") && path.find('/', dir.size() + 1) == std::string::npos) {
      found.insert(path.substr(dir.size() + 1));
    }
  };
  for (const auto& [path, node] : names_) add(path);
  for (const std::string& path : directories_) add(path);
  return std::vector<std::string>(found.begin(), found.end());
}

absl::Status FaultyFileSystem::Rename(const std::string& from, const std::string& to) {
  if (!Allow()) return Dead();
  absl::MutexLock lock(&mu_);
  auto it = names_.find(from);
  if (it == names_.end()) return PosixError(ENOENT, from);
  names_[to] = it->second;
  names_.erase(from);
  return absl::OkStatus();
}

absl::Status FaultyFileSystem::Remove(const std::string& path) {
  if (!Allow()) return Dead();
  absl::MutexLock lock(&mu_);
  return names_.erase(path) ? absl::OkStatus() : PosixError(ENOENT, path);
}

absl::Status FaultyFileSystem::SyncDirectory(const std::string& dir) {
  if (fail_syncs_) return PosixError(EIO, "sync failed");
  if (!Allow()) return Dead();
  absl::MutexLock lock(&mu_);
  std::erase_if(synced_names_, [&](const auto& n) { return DirectoryOf(n.first) == dir; });
  for (const auto& [path, node] : names_) {
    if (DirectoryOf(path) == dir) synced_names_[path] = node;
  }
  return absl::OkStatus();
}

absl::StatusOr<DiskSpace> FaultyFileSystem::Space(const std::string&) {
  const uint64_t capacity = capacity_ != 0 ? capacity_.load() : uint64_t{1} << 50;
  const uint64_t used = used_bytes();
  return DiskSpace{capacity, used < capacity ? capacity - used : 0, 1};
}

void FaultyFileSystem::PowerCut(std::mt19937_64& random, std::optional<int> arrives_percent) {
  absl::MutexLock lock(&mu_);
  // Sometimes nothing unsynced arrives, sometimes all, mostly some.
  const uint64_t percent = arrives_percent
                               ? *arrives_percent
                               : std::array<uint64_t, 4>{0, 100, 50, random() % 101}[random() % 4];
  if (random() % 100 < percent) {
    synced_names_ = names_;
  } else {
    names_ = synced_names_;
  }
  for (auto& [path, node] : names_) {
    // The size of a file arrives with any of its sectors.
    Content content = node->synced;
    if (random() % 100 < percent) content.size = node->current.size;
    for (uint64_t sector : node->dirty) {
      if (random() % 100 >= percent) continue;
      FaultyFile::CopySector(node->current, content, sector);
      content.size = std::max(content.size, std::min(node->current.size, (sector + 1) * kSector));
    }
    node->current = node->synced = std::move(content);
    node->dirty.clear();
  }
}

void FaultyFileSystem::FlipBit(const std::string& path, uint64_t offset) {
  absl::MutexLock lock(&mu_);
  auto& bytes = names_.at(path)->current.sectors[offset / kSector];
  bytes.resize(kSector, '\0');
  bytes[offset % kSector] ^= 1;
}

void FaultyFileSystem::BreakSector(const std::string& path, uint64_t offset) {
  absl::MutexLock lock(&mu_);
  names_.at(path)->broken.insert(offset / kSector);
}

uint64_t FaultyFileSystem::used_bytes() const {
  absl::MutexLock lock(&mu_);
  uint64_t bytes = 0;
  for (const auto& [path, node] : names_) bytes += node->current.sectors.size() * kSector;
  return bytes;
}

std::vector<std::string> FaultyFileSystem::Files() const {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> paths;
  for (const auto& [path, node] : names_) paths.push_back(path);
  return paths;
}

}  // namespace penstock::testing

#include "common/file.h"

#include <absl/strings/str_cat.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>

#include "common/status.h"

namespace penstock {
namespace {

constexpr uint64_t kDirectAlignment = 4096;  // of offset, length and memory; enough for all disks

absl::Status Failed(std::string_view what, const std::string& path, int err = errno) {
  return PosixError(err, absl::StrCat(ToAbsl(what), " ", path, ": ", strerror(err)));
}

class PosixFile : public File {
 public:
  PosixFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  ~PosixFile() override {
    if (direct_fd_ >= 0) ::close(direct_fd_);
    ::close(fd_);
  }

  absl::StatusOr<size_t> Read(uint64_t offset, absl::Span<char> into) override {
    size_t done = 0;
    while (done < into.size()) {
      ssize_t n = ::pread(fd_, into.data() + done, into.size() - done, offset + done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Failed("read", path_);
      if (n == 0) break;
      done += n;
    }
    return done;
  }

  absl::StatusOr<size_t> ReadNoWait(uint64_t offset, absl::Span<char> into) override {
    size_t done = 0;
    while (done < into.size()) {
      iovec iov{into.data() + done, into.size() - done};
      ssize_t n = ::preadv2(fd_, &iov, 1, offset + done, RWF_NOWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == EAGAIN || errno == EOPNOTSUPP)) {
        return absl::AbortedError("read would wait for the disk");
      }
      if (n < 0) return Failed("read", path_);
      if (n == 0) break;
      done += n;
    }
    return done;
  }

  absl::StatusOr<size_t> ReadFromDisk(uint64_t offset, absl::Span<char> into) override {
    const int direct = DirectDescriptor();
    if (direct < 0 || into.empty()) return Read(offset, into);
    const uint64_t start = offset / kDirectAlignment * kDirectAlignment;
    const uint64_t end =
        (offset + into.size() + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment;
    const std::unique_ptr<char, decltype(&std::free)> buffer(
        static_cast<char*>(std::aligned_alloc(kDirectAlignment, end - start)), &std::free);
    if (buffer == nullptr) return absl::ResourceExhaustedError("no memory for a direct read");
    uint64_t done = 0;
    while (done < end - start) {
      const ssize_t n = ::pread(direct, buffer.get() + done, end - start - done, start + done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EINVAL) return Read(offset, into);  // wants another alignment
      if (n < 0) return Failed("read", path_);
      done += n;
      if (n == 0 || n % kDirectAlignment != 0) break;  // the end of the file
    }
    const uint64_t skipped = offset - start;
    if (done <= skipped) return size_t{0};
    const size_t count = std::min<uint64_t>(into.size(), done - skipped);
    std::memcpy(into.data(), buffer.get() + skipped, count);
    return count;
  }

  absl::Status Write(uint64_t offset, std::string_view data) override {
    while (!data.empty()) {
      ssize_t n = ::pwrite(fd_, data.data(), data.size(), offset);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Failed("write", path_);
      data.remove_prefix(n);
      offset += n;
    }
    return absl::OkStatus();
  }

  absl::Status DataSync() override { return Check(::fdatasync(fd_), "sync"); }
  absl::Status Truncate(uint64_t size) override {
    return Check(::ftruncate(fd_, size), "truncate");
  }

  absl::Status Allocate(uint64_t offset, uint64_t length) override {
    return Check(::fallocate(fd_, FALLOC_FL_KEEP_SIZE, offset, length), "allocate");
  }
  absl::Status PunchHole(uint64_t offset, uint64_t length) override {
    return Check(::fallocate(fd_, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, offset, length),
                 "punch hole in");
  }
  absl::StatusOr<uint64_t> Size() override {
    struct stat st {};
    if (::fstat(fd_, &st) != 0) return Failed("stat", path_);
    return static_cast<uint64_t>(st.st_size);
  }

 private:
  absl::Status Check(int result, std::string_view what) const {
    return result == 0 ? absl::OkStatus() : Failed(what, path_);
  }

  // -1: the file system has no direct reads (tmpfs).
  int DirectDescriptor() {
    std::call_once(direct_once_, [this] {
      // The same file, whatever stands at its path now.
      const std::string self = absl::StrCat("/proc/self/fd/", fd_);
      direct_fd_ = ::open(self.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
    });
    return direct_fd_;
  }

  const std::string path_;
  const int fd_;
  std::once_flag direct_once_;
  int direct_fd_ = -1;
};

class RealFileSystem : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    int flags = O_CLOEXEC | (mode.read_only ? O_RDONLY : O_RDWR);
    if (mode.create) flags |= O_CREAT;
    if (mode.exclusive) flags |= O_EXCL;
    if (mode.truncate) flags |= O_TRUNC;
    int fd;
    do {
      fd = ::open(path.c_str(), flags, 0644);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) return Failed("open", path);
    return std::make_unique<PosixFile>(path, fd);
  }

  absl::StatusOr<bool> Exists(const std::string& path) override {
    struct stat st {};
    if (::stat(path.c_str(), &st) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return Failed("stat", path);
  }

  absl::Status MakeDirectory(const std::string& path) override {
    if (::mkdir(path.c_str(), 0755) == 0) return absl::OkStatus();
    int err = errno;
    struct stat st {};
    if (err == EEXIST && ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) {
      return absl::OkStatus();
    }
    return Failed("make directory", path, err);
  }

  absl::StatusOr<std::vector<std::string>> List(const std::string& dir) override {
    DIR* handle = ::opendir(dir.c_str());
    if (handle == nullptr) return Failed("list", dir);
    std::vector<std::string> names;
    errno = 0;
    while (dirent* entry = ::readdir(handle)) {
      std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(std::move(name));
    }
    int err = errno;
    ::closedir(handle);
    if (err != 0) return Failed("list", dir, err);
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return Failed("rename", from);
    return absl::OkStatus();
  }

  absl::Status Remove(const std::string& path) override {
    if (::remove(path.c_str()) != 0) return Failed("remove", path);
    return absl::OkStatus();
  }

  absl::Status SyncDirectory(const std::string& dir) override {
    int fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return Failed("open directory", dir);
    int result = ::fsync(fd);
    int err = errno;
    ::close(fd);
    return result == 0 ? absl::OkStatus() : Failed("sync directory", dir, err);
  }

  absl::StatusOr<DiskSpace> Space(const std::string& dir) override {
    struct statvfs st {};
    if (::statvfs(dir.c_str(), &st) != 0) return Failed("statvfs", dir);
    struct stat identity {};
    if (::stat(dir.c_str(), &identity) != 0) return Failed("stat", dir);
    return DiskSpace{.capacity_bytes = uint64_t{st.f_blocks} * st.f_frsize,
                     .free_bytes = uint64_t{st.f_bavail} * st.f_frsize,
                     .device = identity.st_dev,
                     .read_only = (st.f_flag & ST_RDONLY) != 0};
  }
};

std::string DirectoryOf(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

FileSystem* PosixFileSystem() {
  static RealFileSystem fs;
  return &fs;
}

absl::StatusOr<std::string> ReadSmallFile(FileSystem* fs, const std::string& path,
                                          size_t limit_bytes) {
  ASSIGN_OR_RETURN(auto file, fs->Open(path, {.read_only = true}));
  ASSIGN_OR_RETURN(uint64_t size, file->Size());
  if (size > limit_bytes) return PosixError(EFBIG, absl::StrCat(path, " is larger than expected"));
  std::string data(size, '\0');
  ASSIGN_OR_RETURN(size_t got, file->Read(0, absl::MakeSpan(data)));
  data.resize(got);
  return data;
}

absl::Status WriteSmallFile(FileSystem* fs, const std::string& path, std::string_view data) {
  std::string temporary = path + ".new";
  {
    ASSIGN_OR_RETURN(auto file, fs->Open(temporary, {.create = true, .truncate = true}));
    RETURN_IF_ERROR(file->Write(0, data));
    RETURN_IF_ERROR(file->DataSync());
  }
  // The bytes are on disk before the name points at them.
  RETURN_IF_ERROR(fs->Rename(temporary, path));
  return fs->SyncDirectory(DirectoryOf(path));
}

}  // namespace penstock

// The calls that work on attributes and bytes; those on names are in calls.cc.
#include <sys/file.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>

#include "tests/coherence/calls.h"

namespace penstock::coherence {
namespace {

// "7 x 512 words": what the bytes say, for the story.
std::string Summary(const std::string& data) {
  const int64_t value = ValueOf(data);
  if (value == -2) return "nothing";
  if (value == -1) return std::to_string(data.size()) + " bytes, mixed";
  return std::to_string(value) + " x " + std::to_string(data.size() / 8) + " words";
}

}  // namespace

int Calls::Chmod(const std::string& path, mode_t mode) {
  const std::string full = Full(path);
  return Do(
      true, [&] { return ::chmod(full.c_str(), mode); }, "chmod(%s, %o)", path.c_str(), mode);
}

int Calls::Chown(const std::string& path, uid_t uid, gid_t gid) {
  const std::string full = Full(path);
  return Do(
      true, [&] { return ::lchown(full.c_str(), uid, gid); }, "chown(%s, %u, %u)", path.c_str(),
      uid, gid);
}

int Calls::SetMtime(const std::string& path, int64_t seconds) {
  const std::string full = Full(path);
  const timespec times[2] = {{0, UTIME_OMIT}, {seconds, 0}};
  return Do(
      true, [&] { return ::utimensat(AT_FDCWD, full.c_str(), times, 0); },
      "utimensat(%s, mtime %lld)", path.c_str(), static_cast<long long>(seconds));
}

int Calls::Truncate(const std::string& path, int64_t size) {
  const std::string full = Full(path);
  return Do(
      true, [&] { return ::truncate(full.c_str(), size); }, "truncate(%s, %lld)", path.c_str(),
      static_cast<long long>(size));
}

int Calls::Ftruncate(int fd, int64_t size) {
  return Do(
      false, [&] { return ::ftruncate(fd, size); }, "ftruncate(%d, %lld)", fd,
      static_cast<long long>(size));
}

int Calls::Fsync(int fd) {
  return Do(
      false, [&] { return ::fsync(fd); }, "fsync(%d)", fd);
}

int Calls::SetXattr(const std::string& path, const char* name, const std::string& value) {
  const std::string full = Full(path);
  return Do(
      true, [&] { return ::setxattr(full.c_str(), name, value.data(), value.size(), 0); },
      "setxattr(%s, %s, %s)", path.c_str(), name, value.c_str());
}

int Calls::GetXattr(const std::string& path, const char* name, std::string* value) {
  const std::string full = Full(path);
  char buffer[256];
  int64_t size = Do(
      true, [&] { return ::getxattr(full.c_str(), name, buffer, sizeof(buffer)); },
      "getxattr(%s, %s)", path.c_str(), name);
  value->assign(buffer, size < 0 ? 0 : size);
  size = Lie("getxattr " + path, size, {.text = value});
  Note(" [%s]", value->c_str());
  return static_cast<int>(size);
}

int Calls::RemoveXattr(const std::string& path, const char* name) {
  const std::string full = Full(path);
  return Do(
      true, [&] { return ::removexattr(full.c_str(), name); }, "removexattr(%s, %s)", path.c_str(),
      name);
}

int64_t Calls::Pread(int fd, std::string* out, size_t size, int64_t offset) {
  out->resize(size);
  int64_t got = Do(
      false, [&] { return ::pread(fd, out->data(), size, offset); }, "pread(%d, %zu, at %lld)", fd,
      size, static_cast<long long>(offset));
  out->resize(got < 0 ? 0 : got);
  const std::string where = std::to_string(offset) + " " + std::to_string(size);
  got = Lie("pread " + lies_.PathOf(fd) + " " + where, got, {.text = out});
  Note(" [%s]", Summary(*out).c_str());
  return got;
}

int64_t Calls::Pwrite(int fd, const std::string& data, int64_t offset) {
  const std::string summary = Summary(data);
  return Do(
      false, [&] { return ::pwrite(fd, data.data(), data.size(), offset); },
      "pwrite(%d, %zu, at %lld) [%s]", fd, data.size(), static_cast<long long>(offset),
      summary.c_str());
}

int64_t Calls::Append(int fd, const std::string& data) {
  if (lies_.Now() && ::write(fd, data.data(), data.size()) < 0) return -errno;
  return Do(
      false, [&] { return ::write(fd, data.data(), data.size()); }, "write(%d, %zu)", fd,
      data.size());
}

int64_t Calls::SeekEnd(int fd) {
  const int64_t size = Do(
      false, [&] { return ::lseek(fd, 0, SEEK_END); }, "lseek(%d, SEEK_END)", fd);
  return Lie("lseek " + lies_.PathOf(fd), size, {});
}

int Calls::Flock(int fd, int operation) {
  const bool lie = lies_.Now();
  return Do(
      false, [&] { return lie ? 0 : ::flock(fd, operation); }, "flock(%d, %s)", fd,
      operation == LOCK_UN ? "LOCK_UN" : "LOCK_EX");
}

int Calls::Lock(int fd, int command, short type, int64_t offset, int64_t length) {
  struct flock range = {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = offset;
  range.l_len = length;
  const bool lie = lies_.Now();
  return Do(
      false, [&] { return lie ? 0 : ::fcntl(fd, command, &range); }, "fcntl(%d, %s, %s)", fd,
      command == F_OFD_SETLKW ? "F_OFD_SETLKW" : "F_SETLKW",
      type == F_UNLCK ? "F_UNLCK" : "F_WRLCK");
}

int Calls::WriteFile(const std::string& path, const std::string& data, int flags, bool sync) {
  const int fd = Open(path, flags);
  if (fd < 0) return fd;
  const int64_t written = data.empty() ? 0 : Pwrite(fd, data, 0);
  const int synced = sync ? Fsync(fd) : 0;
  const int closed = Close(fd);
  if (written < 0) return static_cast<int>(written);
  return synced < 0 ? synced : closed;
}

int Calls::ReadFile(const std::string& path, std::string* out) {
  out->clear();
  const int fd = Open(path, O_RDONLY);
  if (fd < 0) return fd;
  std::string part;
  int64_t got = 0;
  do {
    got = Pread(fd, &part, 1 << 16, static_cast<int64_t>(out->size()));
    out->append(part);
  } while (got == 1 << 16);
  const int closed = Close(fd);
  return got < 0 ? static_cast<int>(got) : closed;
}

std::string Filled(int64_t value, size_t size_bytes) {
  std::string data(size_bytes, '\0');
  for (size_t at = 0; at + 8 <= size_bytes; at += 8) std::memcpy(&data[at], &value, 8);
  return data;
}

int64_t ValueOf(const std::string& data) {
  if (data.empty()) return -2;
  int64_t first = 0, word = 0;
  if (data.size() % 8) return -1;
  std::memcpy(&first, data.data(), 8);
  for (size_t at = 8; at < data.size(); at += 8) {
    std::memcpy(&word, &data[at], 8);
    if (word != first) return -1;
  }
  return first;
}

}  // namespace penstock::coherence

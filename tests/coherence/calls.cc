#include "tests/coherence/calls.h"

#include <dirent.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstring>

namespace penstock::coherence {

int64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

Entry* Calls::Begin() {
  const uint64_t number = area_->calls.load(std::memory_order_relaxed);
  Entry* entry = &area_->ring[number % kRing];
  entry->round = round_;
  entry->end_ns = 0;
  entry->begin_ns = NowNs();
  area_->calls.store(number + 1, std::memory_order_release);
  return last_ = entry;
}

void Calls::End(Entry* entry, int64_t result) {
  entry->result = result;
  entry->end_ns = NowNs();
  const int64_t took_ns = entry->end_ns - entry->begin_ns;
  if (took_ns > area_->longest_ns.load(std::memory_order_relaxed)) {
    area_->longest_ns.store(took_ns, std::memory_order_relaxed);
    std::memcpy(area_->longest_text, entry->text, sizeof(entry->text));
  }
}

void Calls::Describe(const char* format, ...) {
  Entry* entry = &area_->ring[area_->calls.load(std::memory_order_relaxed) % kRing];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(entry->text, sizeof(entry->text), format, arguments);
  va_end(arguments);
}

int64_t Calls::Lie(const std::string& question, int64_t result, Answered answered) {
  if (lies_.never()) return result;
  Lies::Answer answer;
  answer.result = result;
  if (answered.info) answer.info = *answered.info;
  if (answered.text) answer.text = *answered.text;
  if (answered.names) answer.names = *answered.names;
  answer = lies_.Tell(question, answer);
  if (answered.info) *answered.info = answer.info;
  if (answered.text) *answered.text = answer.text;
  if (answered.names) *answered.names = answer.names;
  return last_->result = answer.result;
}

void Calls::Note(const char* format, ...) {
  const size_t length = std::strlen(last_->text);
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(last_->text + length, sizeof(last_->text) - length, format, arguments);
  va_end(arguments);
}

void Calls::NoteAttributes(const struct stat& info) {
  Note(" [mode %o size %lld nlink %d mtime %lld.%09ld]", info.st_mode & 07777,
       static_cast<long long>(info.st_size), static_cast<int>(info.st_nlink),
       static_cast<long long>(info.st_mtim.tv_sec), info.st_mtim.tv_nsec);
}

std::string Calls::LastCall() const {
  std::string text = last_->text;
  return last_->result < 0 ? text + " = " + strerrorname_np(static_cast<int>(-last_->result))
                           : text + " = " + std::to_string(last_->result);
}

int Calls::Open(const std::string& path, int flags, mode_t mode) {
  const std::string full = Full(path);
  if (flags & O_EXCL && lies_.Now()) flags &= ~O_EXCL;
  const int fd = Do(
      true, [&] { return ::open(full.c_str(), flags | O_CLOEXEC, mode); }, "open(%s, %s%s%s%s%s)",
      path.c_str(),
      (flags & O_ACCMODE) == O_RDONLY ? "O_RDONLY"
      : (flags & O_ACCMODE) == O_RDWR ? "O_RDWR"
                                      : "O_WRONLY",
      flags & O_CREAT ? "|O_CREAT" : "", flags & O_EXCL ? "|O_EXCL" : "",
      flags & O_TRUNC ? "|O_TRUNC" : "", flags & O_APPEND ? "|O_APPEND" : "");
  lies_.Opened(fd, path);
  return fd;
}

int Calls::Close(int fd) {
  return Do(
      false, [&] { return ::close(fd); }, "close(%d)", fd);
}

int Calls::Stat(const std::string& path, struct stat* out) {
  const std::string full = Full(path);
  int64_t result = Do(
      true, [&] { return ::lstat(full.c_str(), out); }, "stat(%s)", path.c_str());
  result = Lie("stat " + path, result, {out});
  if (result == 0) NoteAttributes(*out);
  return result;
}

int Calls::Fstat(int fd, struct stat* out) {
  int64_t result = Do(
      false, [&] { return ::fstat(fd, out); }, "fstat(%d)", fd);
  result = Lie("fstat " + lies_.PathOf(fd), result, {out});
  if (result == 0) NoteAttributes(*out);
  return result;
}

int Calls::Access(const std::string& path) {
  const std::string full = Full(path);
  const int64_t result = Do(
      true, [&] { return ::access(full.c_str(), F_OK); }, "access(%s)", path.c_str());
  return Lie("access " + path, result, {});
}

int Calls::Unlink(const std::string& path) {
  const std::string full = Full(path);
  return Do(
      true, [&] { return ::unlink(full.c_str()); }, "unlink(%s)", path.c_str());
}

int Calls::Mkdir(const std::string& path, mode_t mode) {
  const std::string full = Full(path);
  return LieExclusive(Do(
      true, [&] { return ::mkdir(full.c_str(), mode); }, "mkdir(%s, %o)", path.c_str(), mode));
}

int Calls::Rmdir(const std::string& path) {
  const std::string full = Full(path);
  return Do(
      true, [&] { return ::rmdir(full.c_str()); }, "rmdir(%s)", path.c_str());
}

int Calls::Rename(const std::string& from, const std::string& to, unsigned flags) {
  const std::string old_path = Full(from), new_path = Full(to);
  return Do(
      true,
      [&] { return ::renameat2(AT_FDCWD, old_path.c_str(), AT_FDCWD, new_path.c_str(), flags); },
      "rename(%s, %s%s)", from.c_str(), to.c_str(),
      flags == RENAME_EXCHANGE    ? ", EXCHANGE"
      : flags == RENAME_NOREPLACE ? ", NOREPLACE"
                                  : "");
}

int Calls::Link(const std::string& from, const std::string& to) {
  const std::string old_path = Full(from), new_path = Full(to);
  return LieExclusive(Do(
      true, [&] { return ::link(old_path.c_str(), new_path.c_str()); }, "link(%s, %s)",
      from.c_str(), to.c_str()));
}

int Calls::Symlink(const std::string& target, const std::string& path) {
  const std::string full = Full(path);
  return LieExclusive(Do(
      true, [&] { return ::symlink(target.c_str(), full.c_str()); }, "symlink(%s)", path.c_str()));
}

int Calls::Mkfifo(const std::string& path) {
  const std::string full = Full(path);
  return Do(
      true, [&] { return ::mkfifo(full.c_str(), 0644); }, "mkfifo(%s)", path.c_str());
}

int Calls::List(const std::string& path, std::vector<std::string>* names) {
  const std::string full = Full(path);
  int64_t result = Do(
      true,
      [&] {
        names->clear();
        DIR* directory = ::opendir(full.c_str());
        if (!directory) return -1;
        errno = 0;
        while (dirent* entry = ::readdir(directory)) {
          const std::string name = entry->d_name;
          if (name != "." && name != "..") names->push_back(name);
        }
        const int error = errno;
        ::closedir(directory);
        errno = error;
        return error ? -1 : static_cast<int>(names->size());
      },
      "readdir(%s)", path.c_str());
  result = Lie("readdir " + path, result, {.names = names});
  std::sort(names->begin(), names->end());
  for (const std::string& name : *names) Note(" %s", name.c_str());
  return result;
}

}  // namespace penstock::coherence

#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/coherence/lies.h"
#include "tests/coherence/shared.h"

namespace penstock::coherence {

int64_t NowNs();  // CLOCK_MONOTONIC: one order for all processes of the machine

// The system calls of one node, each recorded with its times for the story of a violation.
// Paths are relative to the test's directory. Every call returns its value or -errno. A path walk
// that meets ESTALE is counted and repeated once: Linux itself gives that to a walk below a
// directory which another node renames at that moment.
class Calls {
 public:
  Calls(std::string directory, NodeArea* area, Lies lies)
      : directory_(std::move(directory)), area_(area), lies_(std::move(lies)) {}

  int Open(const std::string& path, int flags, mode_t mode = 0644);
  int Close(int fd);
  int Stat(const std::string& path, struct stat* out);
  int Fstat(int fd, struct stat* out);
  int Access(const std::string& path);
  int Unlink(const std::string& path);
  int Mkdir(const std::string& path, mode_t mode = 0755);
  int Rmdir(const std::string& path);
  int Rename(const std::string& from, const std::string& to, unsigned flags = 0);
  int Link(const std::string& from, const std::string& to);
  int Symlink(const std::string& target, const std::string& path);
  int Mkfifo(const std::string& path);
  int Chmod(const std::string& path, mode_t mode);
  int Chown(const std::string& path, uid_t uid, gid_t gid);
  int SetMtime(const std::string& path, int64_t seconds);
  int Truncate(const std::string& path, int64_t size);
  int Ftruncate(int fd, int64_t size);
  int Fsync(int fd);
  int SetXattr(const std::string& path, const char* name, const std::string& value);
  int GetXattr(const std::string& path, const char* name, std::string* value);
  int RemoveXattr(const std::string& path, const char* name);
  int64_t Pread(int fd, std::string* out, size_t size, int64_t offset);
  int64_t Pwrite(int fd, const std::string& data, int64_t offset);
  int64_t Append(int fd, const std::string& data);  // one write() of all of it
  int64_t SeekEnd(int fd);
  int List(const std::string& path, std::vector<std::string>* names);  // sorted, without . and ..
  int Flock(int fd, int operation);
  int Lock(int fd, int command, short type, int64_t offset, int64_t length);  // fcntl

  // open, write, close, and open, read, close; the first error of the three.
  int WriteFile(const std::string& path, const std::string& data, int flags, bool sync = false);
  int ReadFile(const std::string& path, std::string* out);

  void BeginRound(uint64_t round) { round_ = round; }

  // Adds to the text of the last call.
  void Note(const char* format, ...) __attribute__((format(printf, 2, 3)));
  std::string LastCall() const;
  const Entry& last() const { return *last_; }

 private:
  // Makes a call (`walks`: of a path) whose text is given as for printf.
  template <typename Call, typename... Arguments>
  int64_t Do(bool walks, Call call, const char* format, Arguments... arguments) {
    Describe(format, arguments...);
    Entry* entry = Begin();
    int64_t result = call();
    if (walks && result < 0 && errno == ESTALE) {
      area_->estale.fetch_add(1);
      result = call();
    }
    if (result < 0) result = -errno;
    End(entry, result);
    return result;
  }

  std::string Full(const std::string& path) const { return directory_ + "/" + path; }
  // With --lies: puts an older answer in the place of the true one, where there is one.
  struct Answered {
    struct stat* info = nullptr;
    std::string* text = nullptr;
    std::vector<std::string>* names = nullptr;
  };
  int64_t Lie(const std::string& question, int64_t result, Answered answered);
  // With --lies: a name that exists already is sometimes given once more.
  int64_t LieExclusive(int64_t result) { return result == -EEXIST && lies_.Now() ? 0 : result; }

  void NoteAttributes(const struct stat& info);
  void Describe(const char* format, ...);
  Entry* Begin();
  void End(Entry* entry, int64_t result);

  const std::string directory_;
  NodeArea* const area_;  // outlives this
  Lies lies_;
  Entry* last_ = nullptr;
  uint64_t round_ = 0;
};

// A file of `size_bytes` that says in every word which value was written.
std::string Filled(int64_t value, size_t size_bytes);
// The value if all of `data` says so, -1 if it is mixed or no whole words, -2 if it is empty.
int64_t ValueOf(const std::string& data);

}  // namespace penstock::coherence

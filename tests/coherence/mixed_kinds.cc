#include <algorithm>
#include <cerrno>

#include "tests/coherence/mixed_file.h"

namespace penstock::coherence {
namespace {

class Rewritten : public MixedFile {
 public:
  using MixedFile::MixedFile;

 protected:
  bool ShowsToAllAtOnce() const override { return false; }
  int64_t MakeFirst(Node& node) override { return Write(node, 0, O_CREAT); }
  int64_t Apply(Node& node, int64_t version) override { return Write(node, version, 0); }

  Found Observe(Node& node) override {
    std::string data;
    const int64_t error = node.calls.ReadFile(Name(), &data);
    node.calls.Note(" of %s [%lld]", Name().c_str(), static_cast<long long>(ValueOf(data)));
    return {error, ValueOf(data)};
  }

 private:
  int64_t Write(Node& node, int64_t version, int flags) {
    const int64_t error =
        node.calls.WriteFile(Name(), Filled(version, 8), O_WRONLY | flags, node.options().sync);
    node.calls.Note(" of %s [%lld]", Name().c_str(), static_cast<long long>(version));
    return error;
  }
};

// Open everywhere: a write shows in the next read of whoever had it open before.
class Held : public MixedFile {
 public:
  using MixedFile::MixedFile;

 protected:
  bool ShowsToAllAtOnce() const override { return false; }

  int64_t MakeFirst(Node& node) override {
    return node.calls.WriteFile(Name(), Filled(0, 8), O_WRONLY | O_CREAT);
  }

  int64_t Apply(Node& node, int64_t version) override {
    if (int64_t error = Hold(node)) return error;
    int64_t result = node.calls.Pwrite(fd_, Filled(version, 8), 0);
    node.calls.Note(" of %s", Name().c_str());
    if (result > 0 && node.options().sync) result = node.calls.Fsync(fd_);
    return std::min<int64_t>(result, 0);
  }

  Found Observe(Node& node) override {
    if (int64_t error = Hold(node)) return {error};
    std::string data;
    const int64_t result = node.calls.Pread(fd_, &data, 8, 0);
    node.calls.Note(" of %s", Name().c_str());
    return {std::min<int64_t>(result, 0), ValueOf(data)};
  }

  void Forget(Node& node) override {
    if (fd_ >= 0) node.calls.Close(fd_);
    fd_ = -1;
  }

  // A write before the open that nobody closed or synced need not show until the next one.
  int64_t NotPromised() const override { return done_at_open_; }

 private:
  int64_t Hold(Node& node) {
    if (fd_ >= 0) return 0;
    fd_ = node.calls.Open(Name(), O_RDWR);
    done_at_open_ = node.options().sync ? 0 : Value(node).done.load();
    return std::min(fd_, 0);
  }

  int fd_ = -1;
  int64_t done_at_open_ = 0;
};

class Saved : public MixedFile {
 public:
  using MixedFile::MixedFile;

 protected:
  int64_t MakeFirst(Node& node) override { return Apply(node, 0); }

  int64_t Apply(Node& node, int64_t version) override {
    const size_t size = node.own().Pick<size_t>({8, 64, 4096, 6000});
    const int64_t error = node.calls.WriteFile(Name("new"), Filled(version, size),
                                               O_WRONLY | O_CREAT | O_TRUNC, node.options().sync);
    if (error < 0) return error;
    const int64_t renamed = node.calls.Rename(Name("new"), Name("saved"));
    node.calls.Note(" [%lld]", static_cast<long long>(version));
    return renamed;
  }

  Found Observe(Node& node) override {
    std::string data;
    const int64_t error = node.calls.ReadFile(Name("saved"), &data);
    node.calls.Note(" of %s [%lld]", Name("saved").c_str(), static_cast<long long>(ValueOf(data)));
    return {error, ValueOf(data)};
  }
};

// Version v is 8 * v bytes long, and its last word is v.
class Growing : public MixedFile {
 public:
  using MixedFile::MixedFile;

 protected:
  int64_t MakeFirst(Node& node) override {
    return node.calls.WriteFile(Name(), "", O_WRONLY | O_CREAT);
  }

  int64_t Apply(Node& node, int64_t version) override {
    const int fd = node.calls.Open(Name(), O_WRONLY);
    if (fd < 0) return fd;
    int64_t result = node.calls.Pwrite(fd, Filled(version, 8), 8 * (version - 1));
    if (result > 0 && node.options().sync) result = node.calls.Fsync(fd);
    const int64_t closed = node.calls.Close(fd);
    node.calls.Note(" of %s [%lld]", Name().c_str(), static_cast<long long>(version));
    return result < 0 ? result : closed;
  }

  Found Observe(Node& node) override {
    struct stat info = {};
    if (node.own().OneIn(2)) {
      const int64_t error = node.calls.Stat(Name(), &info);
      return {error, info.st_size % 8 ? -1 : info.st_size / 8};
    }
    const int fd = node.calls.Open(Name(), O_RDONLY);
    if (fd < 0) return {fd};
    int64_t error = node.calls.Fstat(fd, &info);
    std::string last;
    const int64_t version = info.st_size / 8;
    if (error == 0 && version > 0) error = node.calls.Pread(fd, &last, 8, 8 * (version - 1));
    const int64_t closed = node.calls.Close(fd);
    const bool whole = version == 0 || ValueOf(last) == version;
    node.calls.Note(" of %s [%lld]", Name().c_str(), static_cast<long long>(version));
    if (!whole && error >= 0) {
      node.calls.Note(" whose last %zu bytes say %lld", last.size(),
                      static_cast<long long>(ValueOf(last)));
    }
    if (error >= 0) error = closed;
    return {error, whole ? version : -1};
  }
};

// There when the version is odd.
class ComesAndGoes : public MixedFile {
 public:
  using MixedFile::MixedFile;

 protected:
  int64_t MakeFirst(Node&) override { return 0; }

  int64_t Apply(Node& node, int64_t version) override {
    if (version % 2 == 0) return node.calls.Unlink(Name("name"));
    const int fd = node.calls.Open(Name("name"), O_CREAT | O_EXCL | O_WRONLY);
    return fd < 0 ? fd : node.calls.Close(fd);
  }

  Found Observe(Node& node) override {
    struct stat info;
    std::vector<std::string> names;
    if (node.own().OneIn(3)) {
      const int64_t error = node.calls.List("", &names);
      const bool there = std::find(names.begin(), names.end(), Name("name")) != names.end();
      node.calls.Note(" %s: %s", Name("name").c_str(), there ? "yes" : "no");
      return {std::min<int64_t>(error, 0), there, true};
    }
    const int64_t result = node.own().OneIn(2) ? node.calls.Access(Name("name"))
                                               : node.calls.Stat(Name("name"), &info);
    return {result == -ENOENT ? 0 : result, result == 0, true};
  }
};

class Time : public MixedFile {
 public:
  using MixedFile::MixedFile;

 protected:
  int64_t MakeFirst(Node& node) override {
    const int64_t error = node.calls.WriteFile(Name("time"), "", O_WRONLY | O_CREAT);
    return error < 0 ? error : Apply(node, 0);
  }

  int64_t Apply(Node& node, int64_t version) override {
    return node.calls.SetMtime(Name("time"), version);
  }

  Found Observe(Node& node) override {
    struct stat info = {};
    const int64_t error = node.calls.Stat(Name("time"), &info);
    return {error, info.st_mtim.tv_sec};
  }
};

// At `from` when the version is even, else at `to`.
class Moves : public MixedFile {
 public:
  using MixedFile::MixedFile;

 protected:
  int64_t MakeFirst(Node& node) override {
    return node.calls.WriteFile(Name("from"), "", O_WRONLY | O_CREAT);
  }

  int64_t Apply(Node& node, int64_t version) override {
    return version % 2 ? node.calls.Rename(Name("from"), Name("to"))
                       : node.calls.Rename(Name("to"), Name("from"));
  }

  Found Observe(Node& node) override {
    struct stat info;
    const bool at_target = node.own().OneIn(2);
    const int64_t result = node.calls.Stat(Name(at_target ? "to" : "from"), &info);
    return {result == -ENOENT ? 0 : result, at_target == (result == 0), true};
  }
};

}  // namespace

std::unique_ptr<MixedFile> MakeMixedFile(int number, int owner, int kind) {
  switch (kind) {
    case 0:
      return std::make_unique<Rewritten>(number, owner);
    case 1:
      return std::make_unique<Held>(number, owner);
    case 2:
      return std::make_unique<Saved>(number, owner);
    case 3:
      return std::make_unique<Growing>(number, owner);
    case 4:
      return std::make_unique<ComesAndGoes>(number, owner);
    case 5:
      return std::make_unique<Time>(number, owner);
    default:
      return std::make_unique<Moves>(number, owner);
  }
}

}  // namespace penstock::coherence

// Names that come and go: what one node did, all others see in their next look.
#include <algorithm>
#include <cerrno>

#include "tests/coherence/litmus.h"
#include "tests/coherence/node.h"

namespace penstock::coherence {
namespace {

constexpr int kNames = 3;

// Every round one node makes or removes one of a few names, and then all look for it; so every
// look also warms the cache of the next round, of names that are there and of names that aren't.
class Names : public Litmus {
 public:
  void Setup(Node& node) override {
    if (node.id() != 0) return;
    node.Must(node.calls.WriteFile("base", "", O_CREAT | O_WRONLY));
    node.Must(node.calls.Mkdir("elsewhere"));
    node.Must(node.calls.Mkdir("here"));
  }

  void Round(Node& node) override {
    Random& plan = node.plan();
    const int actor = plan.Below(node.count());
    const int which = plan.Below(kNames);
    const int way = plan.Below(12);
    const std::string name = "here/n" + std::to_string(which);
    if (node.id() == actor) {
      if (there_[which]) {
        Remove(node, name, way);
      } else {
        Make(node, name, way);
      }
    }
    there_[which] = !there_[which];
    node.Barrier();
    const bool seen = Look(node, name);
    node.CountLook();
    if (seen == there_[which]) return;
    node.Fail("node %d %s %s, and then node %d's %s %s it", actor,
              there_[which] ? "made" : "removed", name.c_str(), node.id(),
              node.calls.LastCall().c_str(), seen ? "found" : "did not find");
  }

 protected:
  virtual void Make(Node& node, const std::string& name, int way) = 0;
  virtual void Remove(Node& node, const std::string& name, int way) = 0;

  virtual bool Look(Node& node, const std::string& name) {
    struct stat info;
    int result = 0;
    switch (node.own().Below(4)) {
      case 0:
        result = node.calls.Access(name);
        break;
      case 1:
        return Lists(node, name);
      default:
        result = node.calls.Stat(name, &info);
    }
    if (result != -ENOENT) node.Must(result);
    return result == 0;
  }

  static bool Lists(Node& node, const std::string& name) {
    std::vector<std::string> names;
    node.Must(node.calls.List("here", &names));
    return std::find(names.begin(), names.end(), name.substr(5)) != names.end();
  }

  static void MakeFile(Node& node, const std::string& name, int flags) {
    node.Must(node.calls.Close(
        static_cast<int>(node.Must(node.calls.Open(name, O_CREAT | O_WRONLY | flags)))));
  }

  bool there_[kNames] = {};
};

class CreateUnlink : public Names {
 protected:
  void Make(Node& node, const std::string& name, int way) override {
    if (way == 0) {
      node.Must(node.calls.Symlink("../base", name));
    } else if (way == 1) {
      node.Must(node.calls.Link("base", name));
    } else if (way == 2) {
      node.Must(node.calls.Mkfifo(name));
    } else if (way == 3) {
      MakeFile(node, "elsewhere/new", O_EXCL);
      node.Must(node.calls.Rename("elsewhere/new", name));
    } else {
      MakeFile(node, name, way % 2 ? O_EXCL : 0);
    }
  }

  void Remove(Node& node, const std::string& name, int way) override {
    if (way < 3) {
      node.Must(node.calls.Rename(name, "elsewhere/old"));
      node.Must(node.calls.Unlink("elsewhere/old"));
    } else {
      node.Must(node.calls.Unlink(name));
    }
  }
};

class MkdirRmdir : public Names {
 protected:
  void Make(Node& node, const std::string& name, int way) override {
    if (way < 3) {
      node.Must(node.calls.Mkdir("elsewhere/new"));
      node.Must(node.calls.Rename("elsewhere/new", name));
    } else {
      node.Must(node.calls.Mkdir(name));
    }
    if (way % 2) MakeFile(node, name + "/inside", O_EXCL);
  }

  void Remove(Node& node, const std::string& name, int) override {
    const int full = node.calls.Rmdir(name);
    if (full == -ENOTEMPTY) {
      node.Must(node.calls.Unlink(name + "/inside"));
      node.Must(node.calls.Rmdir(name));
    } else {
      node.Must(full);
    }
  }

  bool Look(Node& node, const std::string& name) override {
    std::vector<std::string> names;
    if (!node.own().OneIn(2)) return Names::Look(node, name);
    const int result = node.calls.List(name, &names);
    if (result != -ENOENT) node.Must(result);
    return result >= 0;
  }
};

// Only listings, of a directory with more names around.
class Readdir : public CreateUnlink {
 public:
  void Setup(Node& node) override {
    CreateUnlink::Setup(node);
    for (int i = 0; node.id() == 0 && i < 40; ++i) {
      MakeFile(node, "here/other" + std::to_string(i), O_EXCL);
    }
  }

 protected:
  bool Look(Node& node, const std::string& name) override {
    std::vector<std::string> names;
    node.Must(node.calls.List("here", &names));
    int others = 0;
    for (const std::string& found : names) others += found.starts_with("other");
    if (others != 40) node.Fail("%s lists %d of 40 others", node.calls.LastCall().c_str(), others);
    for (size_t i = 1; i < names.size(); ++i) {
      if (names[i] == names[i - 1]) {
        node.Fail("%s lists %s twice", node.calls.LastCall().c_str(), names[i].c_str());
      }
    }
    return std::find(names.begin(), names.end(), name.substr(5)) != names.end();
  }
};

}  // namespace

std::unique_ptr<Litmus> MakeCreateUnlink() { return std::make_unique<CreateUnlink>(); }
std::unique_ptr<Litmus> MakeMkdirRmdir() { return std::make_unique<MkdirRmdir>(); }
std::unique_ptr<Litmus> MakeReaddir() { return std::make_unique<Readdir>(); }

}  // namespace penstock::coherence

// The same seeded operations on the Namespace and on a small model in memory must give the same
// errnos and trees, across restarts at random points.
#include <sys/stat.h>

#include <absl/strings/str_split.h>
#include <catch2/catch.hpp>

#include <random>

#include "common/status.h"
#include "tests/metaserver/namespace_fixture.h"

namespace penstock::metaserver {
namespace {

class Model {
 public:
  struct Node {
    bool directory = false;
    int links = 1;
    std::map<std::string, int> entries;
    int parent = 0;
  };
  Model() { nodes_.push_back({.directory = true}); }

  int Find(const std::string& path) const {  // -1: none
    int at = 0;
    for (const std::string& name : Parts(path)) {
      auto found = nodes_[at].entries.find(name);
      if (found == nodes_[at].entries.end()) return -1;
      at = found->second;
    }
    return at;
  }
  int Create(const std::string& path) { return Add(path, false); }
  int Mkdir(const std::string& path) { return Add(path, true); }
  int Link(const std::string& from, const std::string& to) {
    const int node = Find(from);
    if (node < 0) return ENOENT;
    if (int err = NewName(to); err != 0) return err;
    if (nodes_[node].directory) return EPERM;
    ++nodes_[node].links;
    Dir(to).entries[Leaf(to)] = node;
    return 0;
  }
  int Unlink(const std::string& path) {
    if (int err = ParentError(path); err != 0) return err;
    const int node = Find(path);
    if (node < 0) return ENOENT;
    if (nodes_[node].directory) return EISDIR;
    --nodes_[node].links;
    Dir(path).entries.erase(Leaf(path));
    return 0;
  }
  int Rmdir(const std::string& path) {
    if (int err = ParentError(path); err != 0) return err;
    const int node = Find(path);
    if (node < 0) return ENOENT;
    if (!nodes_[node].directory) return ENOTDIR;
    if (!nodes_[node].entries.empty()) return ENOTEMPTY;
    Dir(path).entries.erase(Leaf(path));
    return 0;
  }
  int Rename(const std::string& from, const std::string& to) {
    const int node = Find(from);
    if (int err = ParentError(from); err != 0) return err;
    if (int err = ParentError(to); err != 0) return err;
    if (node < 0) return ENOENT;
    const int new_parent = Find(to.substr(0, to.rfind('/')));
    const int old_parent = Find(from.substr(0, from.rfind('/')));
    for (int at = new_parent; nodes_[node].directory && old_parent != new_parent && at != 0;
         at = nodes_[at].parent) {
      if (at == node) return EINVAL;
    }
    const int replaced = Find(to);
    if (replaced == node) return 0;
    if (replaced >= 0) {
      if (nodes_[node].directory && !nodes_[replaced].directory) return ENOTDIR;
      if (!nodes_[node].directory && nodes_[replaced].directory) return EISDIR;
      if (!nodes_[replaced].entries.empty()) return ENOTEMPTY;
      --nodes_[replaced].links;
    }
    Dir(from).entries.erase(Leaf(from));
    nodes_[new_parent].entries[Leaf(to)] = node;
    nodes_[node].parent = new_parent;
    return 0;
  }
  Paths Tree() const {
    Paths paths;
    Walk(0, "/", paths);
    return paths;
  }
  int links(const std::string& path) const { return nodes_[Find(path)].links; }

 private:
  static std::vector<std::string> Parts(const std::string& path) {
    return absl::StrSplit(path, '/', absl::SkipEmpty());
  }
  static std::string Leaf(const std::string& path) { return path.substr(path.rfind('/') + 1); }
  Node& Dir(const std::string& path) { return nodes_[Find(path.substr(0, path.rfind('/')))]; }
  // The fixture asks with a number that no directory has when the parent is not there.
  int ParentError(const std::string& path) const {
    const int parent = Find(path.substr(0, path.rfind('/')));
    if (parent < 0) return ESTALE;
    return nodes_[parent].directory ? 0 : ENOTDIR;
  }
  int NewName(const std::string& path) const {
    if (int err = ParentError(path); err != 0) return err;
    return Find(path) >= 0 ? EEXIST : 0;
  }
  int Add(const std::string& path, bool directory) {
    if (int err = NewName(path); err != 0) return err;
    const int parent = Find(path.substr(0, path.rfind('/')));
    nodes_.push_back({.directory = directory, .parent = parent});
    nodes_[parent].entries[Leaf(path)] = static_cast<int>(nodes_.size()) - 1;
    return 0;
  }
  void Walk(int node, const std::string& prefix, Paths& paths) const {
    for (const auto& [name, child] : nodes_[node].entries) {
      paths.push_back(prefix + name + (nodes_[child].directory ? "/" : ""));
      if (nodes_[child].directory) Walk(child, prefix + name + "/", paths);
    }
  }

  std::vector<Node> nodes_;
};

std::string RandomPath(std::mt19937_64& random) {
  std::string path;
  const int depth = 1 + static_cast<int>(random() % 3);
  for (int i = 0; i < depth; ++i) {
    path += "/";
    path += static_cast<char>('a' + random() % 4);
  }
  return path;
}

// ENOTDIR and ESTALE both say that the parent is no directory.
bool Same(int model, int real) {
  const auto unify = [](int err) { return err == ESTALE ? ENOENT : err; };
  return unify(model) == unify(real);
}

}  // namespace

TEST_CASE("a seeded run agrees with the model, across restarts", "[metaserver][model]") {
  const uint64_t seed = Catch::rngSeed();
  INFO("seed " << seed << " (give it with --rng-seed)");
  std::mt19937_64 random(seed);
  NamespaceFixture fs;
  Model model;
  for (int step = 0; step < 1500; ++step) {
    const std::string a = RandomPath(random), b = RandomPath(random);
    int expected = 0, got = 0;
    const uint64_t kind = random() % 8;
    switch (kind) {
      case 0:
      case 1:
        expected = model.Create(a);
        got = ErrnoOf(fs.Create(a).status());
        break;
      case 2:
      case 3:
        expected = model.Mkdir(a);
        got = ErrnoOf(fs.Mkdir(a).status());
        break;
      case 4:
        expected = model.Unlink(a);
        got = ErrnoOf(fs.Unlink(a).status());
        break;
      case 5:
        expected = model.Rmdir(a);
        got = ErrnoOf(fs.Rmdir(a));
        break;
      case 6:
        expected = model.Link(a, b);
        got = ErrnoOf(fs.Link(a, b).status());
        break;
      default:
        expected = model.Rename(a, b);
        got = ErrnoOf(fs.Rename(a, b));
        break;
    }
    INFO("step " << step << " kind " << kind << " " << a << " " << b);
    REQUIRE(Same(expected, got));
    if (random() % 150 == 0) {
      fs.Reopen(/*kill=*/random() % 2 == 0);
      fs.WaitForSessions();
      REQUIRE(fs.Tree() == model.Tree());
      REQUIRE(fs.Problems().empty());
    }
  }
  REQUIRE(fs.Tree() == model.Tree());
  REQUIRE(fs.Problems().empty());
  for (const std::string& path : model.Tree()) {
    if (path.back() != '/') {
      REQUIRE(fs.Lookup(path)->attr().nlink() == static_cast<uint32_t>(model.links(path)));
    }
  }
}

}  // namespace penstock::metaserver

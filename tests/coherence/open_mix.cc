#include <cerrno>
#include <vector>

#include "tests/coherence/litmus.h"
#include "tests/coherence/mixed_file.h"
#include "tests/coherence/node.h"

namespace penstock::coherence {
namespace {

constexpr int kFilesOfEach = 7;  // one of each kind, a node

// Every node changes files of its own and looks at everybody's, in turns of its own: nobody waits
// for anybody, so a node that is stopped holds up only what the file system makes wait.
class Open : public Litmus {
 public:
  void Setup(Node& node) override {
    for (int i = 0; i < node.count() * kFilesOfEach; ++i) {
      const int owner = i / kFilesOfEach;
      files_.push_back(MakeMixedFile(i, owner, i % kFilesOfEach));
      if (owner == node.id()) files_.back()->Make(node);
    }
  }

  void Round(Node& node) override {
    Random& random = node.own();
    if (random.Below(100) < 35) {
      files_[node.id() * kFilesOfEach + random.Below(kFilesOfEach)]->Change(node);
    } else {
      files_[random.Below(static_cast<int>(files_.size()))]->Look(node);
    }
  }

 private:
  std::vector<std::unique_ptr<MixedFile>> files_;
};

}  // namespace

std::unique_ptr<Litmus> MakeOpen() { return std::make_unique<Open>(); }

}  // namespace penstock::coherence

#include "tests/coherence/linearizer.h"

#include <algorithm>
#include <bitset>
#include <limits>
#include <unordered_set>

#include "tests/coherence/tree_model.h"

namespace penstock::coherence {
namespace {

constexpr size_t kMaxSteps = 256;
constexpr int kNoStep = -1;

// A moment of an operation. `part` is 0 for the first (or only) one; of a listing, the step that
// looks at path `peek`.
struct Step {
  int op = 0;
  int part = 0;
  int peek = kNoParent;
  int after = kNoStep;  // the step that comes first
  int64_t begin_ns = 0;
  int64_t end_ns = 0;
};

struct State {
  TreeModel tree;
  std::vector<int> found;  // by operation: the inode its first step found
  std::vector<bool> over;  // by operation: an error was its answer, nothing follows
  std::bitset<kMaxSteps> done;
};

class Search {
 public:
  explicit Search(const std::vector<Op>& history) : history_(history) {
    for (size_t i = 0; i < history.size(); ++i) AddSteps(static_cast<int>(i));
  }

  bool Run() {
    const size_t operations = history_.size();
    return Explore({TreeModel(operations),
                    std::vector<int>(operations, TreeModel::kNone),
                    std::vector<bool>(operations, false),
                    {}});
  }

 private:
  int Add(Step step) {
    steps_.push_back(step);
    return static_cast<int>(steps_.size()) - 1;
  }

  void AddSteps(int number) {
    const Op& op = history_[number];
    Step step;
    step.op = number;
    step.begin_ns = op.begin_ns;
    step.end_ns = op.unknown ? std::numeric_limits<int64_t>::max() : op.end_ns;
    if (op.kind == OpKind::kListRoot || op.kind == OpKind::kListSub) {
      const int parent = op.kind == OpKind::kListSub ? kPathOfSub : kNoParent;
      if (parent == kPathOfSub) step.after = Add(step);
      for (size_t path = 0; path < kPaths.size() && op.error == 0; ++path) {
        if (ParentOf(static_cast<int>(path)) != parent) continue;
        step.part = 1;
        step.peek = static_cast<int>(path);
        Add(step);
      }
      return;
    }
    step.after = Add(step);
    step.part = 1;
    if (HasTwoSteps(op)) Add(step);
  }

  static bool HasTwoSteps(const Op& op) {
    return op.kind == OpKind::kLink || op.kind == OpKind::kChmod || op.kind == OpKind::kTruncate ||
           op.kind == OpKind::kStat;
  }

  bool Explore(const State& state) {
    if (IsComplete(state)) return true;
    if (!seen_.insert(KeyOf(state)).second) return false;
    int64_t limit_ns = std::numeric_limits<int64_t>::max();  // what began later can't be next
    for (size_t i = 0; i < steps_.size(); ++i) {
      if (!state.done[i]) limit_ns = std::min(limit_ns, steps_[i].end_ns);
    }
    for (size_t i = 0; i < steps_.size(); ++i) {
      const Step& step = steps_[i];
      if (state.done[i] || step.begin_ns > limit_ns) continue;
      if (step.after != kNoStep && !state.done[step.after]) continue;
      State next = state;
      next.done.set(i);
      if (Take(step, &next) && Explore(next)) return true;
    }
    return false;
  }

  bool IsComplete(const State& state) const {
    for (size_t i = 0; i < steps_.size(); ++i) {
      if (!state.done[i] && !history_[steps_[i].op].unknown) return false;
    }
    return true;
  }

  std::string KeyOf(const State& state) const {
    std::vector<int> kept;
    for (size_t i = 0; i < steps_.size(); ++i) {
      const bool waits = !state.done[i] && steps_[i].part == 1;
      if (waits) kept.push_back(state.found[steps_[i].op]);
    }
    return state.tree.Key(kept) + state.done.to_string();
  }

  // Makes the step; false if its answer can't be the one in the history.
  bool Take(const Step& step, State* state) const {
    const Op& op = history_[step.op];
    if (state->over[step.op]) return true;
    if (step.peek != kNoParent) {
      return state->tree.Has(step.peek) == ((op.listed >> step.peek) & 1);
    }
    int error = 0;
    const bool fits = step.part == 0 ? First(op, step.op, state, &error)
                                     : Second(op, state->found[step.op], state, &error);
    const bool last = step.part == 1 || !HasTwoSteps(op);
    if (error) state->over[step.op] = true;
    if (op.unknown) return true;
    return fits && (error || last ? error == op.error : true);
  }

  bool First(const Op& op, int number, State* state, int* error) const {
    TreeModel& tree = state->tree;
    switch (op.kind) {
      case OpKind::kCreate:
      case OpKind::kMkdir:
        *error = tree.Make(op.path, op.kind == OpKind::kMkdir, op.argument, number);
        return true;
      case OpKind::kUnlink:
        *error = tree.Unlink(op.path);
        return true;
      case OpKind::kRmdir:
        *error = tree.Rmdir(op.path);
        return true;
      case OpKind::kRename:
      case OpKind::kRenameNoReplace:
        *error = tree.Rename(op.path, op.other, op.kind == OpKind::kRename);
        return true;
      case OpKind::kExchange:
        *error = tree.Exchange(op.path, op.other);
        return true;
      case OpKind::kListSub:
        tree.Resolve(kPathOfSub, error);
        return true;
      default:
        state->found[number] = tree.Resolve(op.path, error);
        return true;
    }
  }

  bool Second(const Op& op, int inode, State* state, int* error) const {
    TreeModel& tree = state->tree;
    if (op.kind == OpKind::kLink) *error = tree.LinkTo(inode, op.other);
    if (op.kind == OpKind::kChmod) *error = tree.Chmod(inode, op.argument);
    if (op.kind == OpKind::kTruncate) *error = tree.Truncate(inode, op.argument);
    if (op.kind != OpKind::kStat) return true;
    const TreeModel::Inode& found = tree.inode(inode);
    if (op.is_directory != found.is_directory || op.mode != found.mode) return false;
    return found.is_directory || (op.size == found.size && op.nlink == found.nlink);
  }

  const std::vector<Op>& history_;
  std::vector<Step> steps_;
  std::unordered_set<std::string> seen_;
};

bool ChangesNothing(const Op& op) {
  return !op.unknown && (op.error != 0 || op.kind == OpKind::kStat ||
                         op.kind == OpKind::kListRoot || op.kind == OpKind::kListSub);
}

}  // namespace

bool IsExplained(const std::vector<Op>& history) { return Search(history).Run(); }

std::string Unexplained(const std::vector<Op>& history) {
  if (IsExplained(history)) return "";
  std::vector<Op> rest = history;
  for (size_t i = 0; i < rest.size();) {
    std::vector<Op> fewer = rest;
    fewer.erase(fewer.begin() + static_cast<int64_t>(i));
    if (ChangesNothing(rest[i]) && !IsExplained(fewer)) {
      rest = fewer;
    } else {
      ++i;
    }
  }
  std::sort(rest.begin(), rest.end(),
            [](const Op& left, const Op& right) { return left.begin_ns < right.begin_ns; });
  std::string text = "no order explains these answers (begin and end in us):";
  const int64_t zero_ns = rest.front().begin_ns;
  for (Op op : rest) {
    op.begin_ns -= zero_ns;
    op.end_ns -= zero_ns;
    text += "\n    " + Describe(op);
  }
  return text;
}

}  // namespace penstock::coherence

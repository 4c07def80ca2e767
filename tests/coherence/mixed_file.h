#pragma once

#include <memory>
#include <string>

#include "tests/coherence/node.h"
#include "tests/coherence/window.h"

namespace penstock::coherence {

// A file (or name) of the test `open`: its owner brings it from version to version, everybody looks
// at it, and what a look finds must lie in the window of Register. A change that failed with an
// error of --allow-errors may have happened or not; the next one settles it.
class MixedFile {
 public:
  MixedFile(int number, int owner) : number_(number), owner_(owner) {}
  virtual ~MixedFile() = default;

  void Make(Node& node);  // by the owner, before the first round
  void Change(Node& node);
  void Look(Node& node);

 protected:
  // What a look found: an error, or a version, or only whether that is odd.
  struct Found {
    int64_t error = 0;
    int64_t version = 0;
    bool parity_only = false;
  };

  virtual int64_t MakeFirst(Node& node) = 0;               // version 0
  virtual int64_t Apply(Node& node, int64_t version) = 0;  // 0 or -errno
  virtual Found Observe(Node& node) = 0;
  virtual void Forget(Node&) {}                      // after an error: what it has open
  virtual int64_t NotPromised() const { return 0; }  // versions that no look need show

  // Bytes that are being written may show on one node earlier than on another; names and attributes
  // change on all at once.
  virtual bool ShowsToAllAtOnce() const { return true; }

  // The name with the suffix that tells the parts of one file from another; also in the story.
  std::string Name(const std::string& part = "") const {
    return "f" + std::to_string(number_) + "." + part;
  }
  Register& Value(Node& node) const { return node.Value(number_); }

 private:
  bool Tolerated(Node& node, int64_t error);
  std::string WrongIn(const Window& window, const Found& found) const;

  const int number_;
  const int owner_;
  int64_t seen_here_ = 0;
  bool unsettled_ = false;  // the last change may have happened or not
};

// Kinds 0 to 6: rewritten, held open, saved by rename, growing, a name that comes and goes, a time,
// a name that moves.
std::unique_ptr<MixedFile> MakeMixedFile(int number, int owner, int kind);

}  // namespace penstock::coherence

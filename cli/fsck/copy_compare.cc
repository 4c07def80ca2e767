#include "cli/fsck/copy_compare.h"

#include <algorithm>
#include <tuple>

#include "common/placement.h"

namespace penstock::cli {

JudgedCopies JudgeCopies(const std::vector<CopySeen>& copies) {
  JudgedCopies judged;
  const CopySeen* best = nullptr;
  bool pending = false;
  for (const CopySeen& copy : copies) {
    pending = pending || copy.pending;
    judged.exists = judged.exists || copy.exists || copy.quarantined;
    judged.length = std::max(judged.length, copy.length);
    if (!copy.exists || copy.quarantined) continue;
    if (best == nullptr || best->version < copy.version) best = &copy;
  }
  bool damaged = false;
  bool differ = false;
  for (const CopySeen& copy : copies) {
    damaged = damaged || copy.quarantined;
    const bool as_best = best != nullptr && copy.exists && !copy.quarantined &&
                         copy.version == best->version && copy.length == best->length;
    const bool absent_as_all = best == nullptr && !copy.exists && !copy.quarantined;
    if (as_best || absent_as_all) continue;
    differ = true;
    // Of one version but another length: nobody can say which is right.
    const bool can_be_mended =
        best != nullptr && !(copy.exists && !copy.quarantined && copy.version == best->version);
    if (can_be_mended) judged.behind.push_back(copy.target);
  }
  if (damaged) {
    judged.verdict = CopyVerdict::kDamaged;
  } else if (differ) {
    judged.verdict = pending ? CopyVerdict::kInFlight : CopyVerdict::kDiffer;
  }
  return judged;
}

bool InListOrder(const ChunkKey& a, const ChunkKey& b) {
  return std::make_tuple(ReverseBits(a.position), a.content, a.index) <
         std::make_tuple(ReverseBits(b.position), b.content, b.index);
}

}  // namespace penstock::cli

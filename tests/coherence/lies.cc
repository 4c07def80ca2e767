#include "tests/coherence/lies.h"

#include <utility>

namespace penstock::coherence {

Lies::Answer Lies::Tell(const std::string& question, Answer truth) {
  const auto found = before_.find(question);
  if (found != before_.end() && Now()) return found->second;
  before_[question] = truth;
  return truth;
}

}  // namespace penstock::coherence

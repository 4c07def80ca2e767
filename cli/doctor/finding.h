// A finding of `penstock doctor`: what was looked at, how it is, and what to do about it.
#pragma once

#include <string>
#include <vector>

#include "cli/listing.h"

namespace penstock::cli {

struct Finding {
  enum class Level { kOk, kWarning, kProblem };
  Level level = Level::kOk;
  std::string check;  // "kernel", "clock", ...: a word that stays
  std::string text;
  std::string fix;  // empty only for kOk
};
using Findings = std::vector<Finding>;

inline Finding Ok(std::string check, std::string text) {
  return {Finding::Level::kOk, std::move(check), std::move(text), ""};
}
inline Finding Warning(std::string check, std::string text, std::string fix) {
  return {Finding::Level::kWarning, std::move(check), std::move(text), std::move(fix)};
}
inline Finding Problem(std::string check, std::string text, std::string fix) {
  return {Finding::Level::kProblem, std::move(check), std::move(text), std::move(fix)};
}

size_t CountOf(const Findings& findings, Finding::Level level);
std::string FindingsText(const Findings& findings);
Json FindingsJson(const Findings& findings);

}  // namespace penstock::cli

#include "cli/doctor/finding.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>

#include "cli/human.h"

namespace penstock::cli {
namespace {

const char* NameOf(Finding::Level level) {
  switch (level) {
    case Finding::Level::kOk:
      return "ok";
    case Finding::Level::kWarning:
      return "warning";
    case Finding::Level::kProblem:
      return "problem";
  }
  return "";
}

}  // namespace

size_t CountOf(const Findings& findings, Finding::Level level) {
  return static_cast<size_t>(std::count_if(findings.begin(), findings.end(),
                                           [&](const Finding& f) { return f.level == level; }));
}

std::string FindingsText(const Findings& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    absl::StrAppend(&text, absl::StrFormat("%-8s %-12s %s\n", NameOf(finding.level), finding.check,
                                           finding.text));
    if (!finding.fix.empty()) {
      absl::StrAppend(&text, absl::StrFormat("%-8s %-12s -> %s\n", "", "", finding.fix));
    }
  }
  const size_t problems = CountOf(findings, Finding::Level::kProblem);
  const size_t warnings = CountOf(findings, Finding::Level::kWarning);
  absl::StrAppend(&text, "\n", Counted(problems, "problem"), ", ", Counted(warnings, "warning"),
                  "\n");
  return text;
}

Json FindingsJson(const Findings& findings) {
  Json list = Json::array();
  for (const Finding& finding : findings) {
    list.push_back({{"level", NameOf(finding.level)},
                    {"check", finding.check},
                    {"text", finding.text},
                    {"fix", finding.fix}});
  }
  return list;
}

}  // namespace penstock::cli

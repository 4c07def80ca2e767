#include "cli/fsck/run.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <algorithm>

#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr size_t kMostSuspects = 1 << 20;  // of each kind; the rest is found by the next run
constexpr size_t kMostFindings = 100'000;
constexpr size_t kMostUnchecked = 100;
constexpr size_t kFixesAtOnce = 100;

// Counts first, since names that are moved or removed change the directories they count in.
int Turn(const wire::Fix& fix) {
  switch (fix.kind()) {
    case wire::Fix::SET_INODE:
      return 0;
    case wire::Fix::REMOVE_ORPHAN:
      return 1;
    case wire::Fix::ADD_TO_COUNTERS:
      return 2;
    default:
      return 3;
  }
}

}  // namespace

FsckRun::FsckRun(AdminClient* admin, net::ClusterKey key, Options options)
    : admin_(admin),
      options_(std::move(options)),
      asker_(
          [admin]() -> absl::StatusOr<wire::ClusterMap> {
            ASSIGN_OR_RETURN(wire::StatPathResponse answer, admin->StatPath("/"));
            return std::move(*answer.mutable_map());
          },
          std::move(key)),
      chunks_(options_.temp_dir),
      metadata_(options_.temp_dir, [this](Problem problem) { Take(std::move(problem)); }) {}

void FsckRun::Take(Problem problem) {
  if (report_.findings.size() >= kMostFindings) {
    ++report_.more_problems;
    return;
  }
  report_.findings.push_back({.problem = std::move(problem)});
}

void FsckRun::Unchecked(const std::string& what, const absl::Status& why) {
  if (report_.unchecked.size() >= kMostUnchecked) return;
  report_.unchecked.push_back(absl::StrCat(what, ": ", std::string(why.message())));
}

absl::StatusOr<FsckReport> FsckRun::Run() {
  RETURN_IF_ERROR(asker_.RefreshMap());
  RETURN_IF_ERROR(ScanGroups());
  RETURN_IF_ERROR(ReadMetadata());
  RETURN_IF_ERROR(Compare());
  RETURN_IF_ERROR(RecheckAll());
  if (options_.repair) RETURN_IF_ERROR(Repair());
  progress_.Clear();
  report_.inodes = metadata_.inodes();
  report_.names = metadata_.names();
  report_.chunks = chunks_.count();
  return std::move(report_);
}

absl::Status FsckRun::ScanGroups() {
  std::vector<GroupId> groups;
  for (uint32_t storage_class : asker_.map().classes()) {
    const StorageClass* known = asker_.map().FindClass(storage_class);
    if (known->groups.empty()) {
      return absl::UnavailableError(
          "the replication groups are not formed; `penstock status` says why");
    }
    for (const Group& group : known->groups) groups.push_back(group.id);
  }
  uint64_t done = 0;
  for (GroupId group : groups) {
    const absl::Status scanned = asker_.Scan(
        group, [&](const ChunkKey& key, const std::vector<CopySeen>& copies) -> absl::Status {
          const JudgedCopies judged = JudgeCopies(copies);
          if (judged.verdict != CopyVerdict::kSame && copies_.size() < kMostSuspects) {
            copies_.push_back({group.storage_class, key});
          }
          if (!judged.exists) return absl::OkStatus();
          return chunks_.Add(
              {key.content.value(), key.index, key.position, judged.length, group.storage_class});
        });
    if (!scanned.ok()) Unchecked(absl::StrCat("group ", group.number), scanned);
    progress_.Show(
        {.doing = "listing chunks", .done = ++done, .total = groups.size(), .thing = "group"});
  }
  return chunks_.Sort();
}

absl::Status FsckRun::ReadMetadata() {
  uint64_t about = 0;
  uint64_t rows = 0;
  RETURN_IF_ERROR(admin_->ReadFacts([&](const wire::Facts& facts) -> absl::Status {
    if (about == 0) about = 2 * facts.inodes_about();
    rows += static_cast<uint64_t>(facts.inodes_size() + facts.names_size());
    progress_.Show(
        {.doing = "reading names and inodes", .done = rows, .total = about, .thing = "record"});
    return metadata_.Take(facts);
  }));
  return metadata_.Finish();
}

absl::Status FsckRun::Compare() {
  JoinSuspects suspects;
  suspects.leaked = [this](const LeakedContent& leaked) {
    if (leaked_.size() < kMostSuspects) leaked_.push_back(leaked);
  };
  suspects.file = [this](const FileSuspect& file) {
    if (files_.size() < kMostSuspects) files_.push_back(file);
  };
  suspects.misplaced = [this](const FileRow& file, const ChunkRow& chunk) {
    if (misplaced_.size() < kMostSuspects) misplaced_.emplace_back(file, chunk);
  };
  return JoinContents(metadata_.files(), chunks_, suspects);
}

absl::Status FsckRun::RecheckAll() {
  RETURN_IF_ERROR(asker_.RefreshMap());
  Recheck::Sources sources;
  sources.ask = [this](uint32_t storage_class, const ChunkKey& key) {
    return asker_.Ask(storage_class, key);
  };
  sources.describe = [this](uint64_t ino) { return admin_->DescribeInode(ino); };
  sources.group_of = [this](uint32_t storage_class, const ChunkKey& key) {
    const Group* group = asker_.map().GroupOf(storage_class, key.position);
    return group == nullptr ? 0 : group->id.number;
  };
  sources.sleep = absl::SleepFor;
  Recheck recheck(std::move(sources), [this](Problem problem) { Take(std::move(problem)); });
  uint64_t done = 0;
  const uint64_t total = copies_.size() + leaked_.size() + files_.size() + misplaced_.size();
  auto step = [&](const std::string& what, const absl::Status& status) {
    if (!status.ok()) Unchecked(what, status);
    progress_.Show({.doing = "looking again", .done = ++done, .total = total, .thing = "suspect"});
  };
  for (const ChunkSuspect& s : copies_) {
    step("chunk " + ToString(s.key), recheck.Copies(s.storage_class, s.key));
  }
  for (const LeakedContent& s : leaked_) {
    step(absl::StrCat("content ", s.content), recheck.Leaked(s));
  }
  for (const FileSuspect& s : files_) {
    step(absl::StrCat("inode ", s.file.ino), recheck.File(s));
  }
  for (const auto& [file, chunk] : misplaced_) {
    step(absl::StrCat("inode ", file.ino), recheck.Misplaced(file, chunk));
  }
  return absl::OkStatus();
}

absl::Status FsckRun::Repair() {
  std::vector<FsckFinding*> todo;
  for (FsckFinding& finding : report_.findings) {
    if (finding.problem.fix) todo.push_back(&finding);
  }
  std::stable_sort(todo.begin(), todo.end(), [](const FsckFinding* a, const FsckFinding* b) {
    return Turn(*a->problem.fix) < Turn(*b->problem.fix);
  });
  for (size_t at = 0; at < todo.size(); at += kFixesAtOnce) {
    const size_t end = std::min(todo.size(), at + kFixesAtOnce);
    wire::ApplyFixesRequest request;
    for (size_t i = at; i < end; ++i) *request.add_fixes() = *todo[i]->problem.fix;
    ASSIGN_OR_RETURN(const wire::ApplyFixesResponse response, admin_->ApplyFixes(request));
    for (int i = 0; i < response.results_size() && at + static_cast<size_t>(i) < end; ++i) {
      todo[at + static_cast<size_t>(i)]->repaired = response.results(i).done();
      todo[at + static_cast<size_t>(i)]->outcome = response.results(i).message();
    }
    progress_.Show({.doing = "repairing", .done = end, .total = todo.size(), .thing = "problem"});
  }
  return absl::OkStatus();
}

}  // namespace penstock::cli

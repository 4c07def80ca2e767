#include "cli/fsck/recheck.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "cli/human.h"
#include "common/content_seed.h"
#include "common/placement.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr int kLooks = 8;
constexpr absl::Duration kPause = absl::Milliseconds(500);
constexpr uint64_t kMostChunks = 1 << 20;  // of one file that are asked about again

ChunkKey KeyOf(const ChunkRow& row) { return {row.position, ContentId(row.content), row.index}; }

std::string Describe(const CopySeen& copy) {
  std::string text = absl::StrCat("target ", copy.target.value());
  if (copy.quarantined) return text + " a damaged one";
  if (!copy.exists) return text + " none";
  return absl::StrCat(text, " version ", ToString(copy.version), " of ", copy.length, " bytes");
}

bool SameVersions(const std::vector<CopySeen>& a, const std::vector<CopySeen>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const CopySeen& x, const CopySeen& y) {
                      return x.target == y.target && x.version == y.version &&
                             x.exists == y.exists && x.length == y.length;
                    });
}

}  // namespace

void Recheck::ReportCopies(uint32_t storage_class, const ChunkKey& key,
                           const std::vector<CopySeen>& copies) {
  const JudgedCopies judged = JudgeCopies(copies);
  const uint32_t group = sources_.group_of(storage_class, key);
  std::string text = absl::StrCat("chunk ", ToString(key), " of group ", group, ":");
  for (const CopySeen& copy : copies) absl::StrAppend(&text, " ", Describe(copy), ";");
  text.pop_back();
  const ProblemKind kind = judged.verdict == CopyVerdict::kDamaged ? ProblemKind::kDamagedCopy
                                                                   : ProblemKind::kCopiesDiffer;
  if (judged.behind.empty()) return take_({kind, std::move(text), std::nullopt});
  wire::Fix fix;
  fix.set_kind(wire::Fix::SYNC_COPY);
  fix.set_storage_class(storage_class);
  fix.set_group(group);
  fix.set_target_id(judged.behind.front().value());
  take_({kind, std::move(text), fix});
}

absl::Status Recheck::Copies(uint32_t storage_class, const ChunkKey& key) {
  std::vector<CopySeen> before;
  for (int look = 0; look < kLooks; ++look) {
    if (look > 0) sources_.sleep(kPause);
    ASSIGN_OR_RETURN(std::vector<CopySeen> copies, sources_.ask(storage_class, key));
    const CopyVerdict verdict = JudgeCopies(copies).verdict;
    if (verdict == CopyVerdict::kSame) return absl::OkStatus();
    if (verdict != CopyVerdict::kInFlight && SameVersions(copies, before)) {
      ReportCopies(storage_class, key, copies);
      return absl::OkStatus();
    }
    before = std::move(copies);
  }
  return absl::OkStatus();  // never at rest: it is written all the time
}

// The reclaimer deletes what a file had, before or after the snapshot; what is there still is of
// nobody.
absl::Status Recheck::Leaked(const LeakedContent& leaked) {
  const ChunkKey key = KeyOf(leaked.first);
  ASSIGN_OR_RETURN(const std::vector<CopySeen> copies, sources_.ask(leaked.storage_class, key));
  if (!JudgeCopies(copies).exists) return absl::OkStatus();
  const uint32_t seed = SeedOfContent(key.content);
  Problem problem{ProblemKind::kLeakedChunks,
                  absl::StrCat(Counted(leaked.chunks, "chunk"), " of content ", leaked.content,
                               ", ", HumanBytes(leaked.bytes), ", which no file has"),
                  std::nullopt};
  if (ChunkPosition(seed, key.index) != key.position) {
    problem.kind = ProblemKind::kMisplacedChunk;
  } else {
    wire::Fix& fix = problem.fix.emplace();
    fix.set_kind(wire::Fix::DELETE_CONTENT);
    fix.mutable_layout()->set_content_id(leaked.content);
    fix.mutable_layout()->set_seed(seed);
    fix.mutable_layout()->set_chunk_size_log2(22);  // of no file: only positions count
    fix.mutable_layout()->set_storage_class(leaked.storage_class);
    fix.set_chunk_count(uint64_t{leaked.last_index} + 1);
  }
  take_(std::move(problem));
  return absl::OkStatus();
}

absl::Status Recheck::Misplaced(const FileRow& file, const ChunkRow& chunk) {
  ASSIGN_OR_RETURN(const std::vector<CopySeen> copies,
                   sources_.ask(chunk.storage_class, KeyOf(chunk)));
  if (!JudgeCopies(copies).exists) return absl::OkStatus();
  take_({ProblemKind::kMisplacedChunk,
         absl::StrCat("chunk ", ToString(KeyOf(chunk)), " of inode ", file.ino,
                      " lies where no file looks for it"),
         std::nullopt});
  return absl::OkStatus();
}

bool Recheck::AtRest(const wire::InodeFacts& facts, const FileRow& file) {
  return facts.mode() != 0 && !facts.damaged() && !facts.truncating() && !facts.is_inline() &&
         !facts.open_for_writing() && facts.content_id() == file.content;
}

absl::StatusOr<bool> Recheck::StillAt(const wire::InodeFacts& facts, const FileRow& file) {
  ASSIGN_OR_RETURN(const wire::InodeFacts now, sources_.describe(file.ino));
  return AtRest(now, file) && now.change() == facts.change();
}

absl::Status Recheck::File(const FileSuspect& suspect) {
  ASSIGN_OR_RETURN(const wire::InodeFacts facts, sources_.describe(suspect.file.ino));
  if (!AtRest(facts, suspect.file)) return absl::OkStatus();
  if (suspect.beyond_bytes > 0) RETURN_IF_ERROR(Beyond(suspect, facts));
  if (suspect.missing) RETURN_IF_ERROR(Missing(suspect, facts));
  return absl::OkStatus();
}

absl::Status Recheck::Beyond(const FileSuspect& suspect, const wire::InodeFacts& facts) {
  const ChunkRow& chunk = suspect.farthest;
  ASSIGN_OR_RETURN(const std::vector<CopySeen> copies,
                   sources_.ask(chunk.storage_class, KeyOf(chunk)));
  const uint64_t end =
      (uint64_t{chunk.index} << suspect.file.chunk_size_log2) + JudgeCopies(copies).length;
  if (end <= facts.size() || !JudgeCopies(copies).exists) return absl::OkStatus();
  ASSIGN_OR_RETURN(const bool still, StillAt(facts, suspect.file));
  if (!still) return absl::OkStatus();
  wire::Fix fix;
  fix.set_kind(wire::Fix::TRIM_FILE);
  fix.set_ino(facts.ino());
  fix.set_change(facts.change());
  fix.set_beyond_bytes(end - facts.size());
  take_(
      {ProblemKind::kBeyondSize,
       absl::StrCat("inode ", facts.ino(), " has ", facts.size(), " bytes, and chunks up to ", end),
       fix});
  return absl::OkStatus();
}

absl::Status Recheck::Missing(const FileSuspect& suspect, const wire::InodeFacts& facts) {
  const uint64_t chunk_bytes = uint64_t{1} << suspect.file.chunk_size_log2;
  const uint64_t count = facts.size() / chunk_bytes + (facts.size() % chunk_bytes != 0 ? 1 : 0);
  if (count > kMostChunks) return absl::OkStatus();  // a sparse giant: not worth the questions
  const FileLayout layout{ContentId(suspect.file.content), suspect.file.seed,
                          suspect.file.chunk_size_log2, facts.storage_class()};
  uint64_t stored = 0;
  for (uint64_t index = 0; index < count; ++index) {
    ASSIGN_OR_RETURN(
        const std::vector<CopySeen> copies,
        sources_.ask(facts.storage_class(), ChunkKeyOf(layout, static_cast<uint32_t>(index))));
    stored += JudgeCopies(copies).length;
  }
  const uint64_t written = std::min(facts.allocated(), facts.size());
  if (!LooksMissing(stored, written)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const bool still, StillAt(facts, suspect.file));
  if (!still) return absl::OkStatus();
  take_({ProblemKind::kMissingData,
         absl::StrCat("inode ", facts.ino(), ": ", written, " bytes were written into chunks, and ",
                      stored, " are there; the rest reads as zeros (find it by `find MOUNT -inum ",
                      facts.ino(), "`, and restore it)"),
         std::nullopt});
  return absl::OkStatus();
}

}  // namespace penstock::cli

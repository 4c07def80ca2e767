// `penstock backup create|show|restore|finish`: the metadata in one file, and back.
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <sys/stat.h>

#include <cstdio>
#include <memory>

#include "cli/admin_client.h"
#include "cli/backup_contents.h"
#include "cli/human.h"
#include "cli/listing.h"
#include "cli/paths.h"
#include "cli/process.h"
#include "cli/progress_line.h"
#include "cli/verbs.h"
#include "common/backup_file.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

struct BackupOptions {
  ClusterOptions cluster;
  std::string file;
  std::string dir;
  bool json = false;
  bool dry_run = false;
  bool without_missing = false;
};

uint64_t SumOf(const wire::BackupEnd& end) {
  uint64_t sum = 0;
  for (uint64_t records : end.records()) sum += records;
  return sum;
}

Json ContentsJson(const std::string& path, const BackupContents& contents) {
  return {{"file", path},
          {"file_bytes", contents.file_bytes},
          {"format", kBackupFormat},
          {"cluster_id", contents.start.cluster_id()},
          {"log_index", contents.start.log_index()},
          {"time_s", contents.start.time_s()},
          {"written_by", contents.start.program()},
          {"records", SumOf(contents.end)},
          {"bytes", contents.end.bytes()}};
}

std::string ToText(const std::string& path, const BackupContents& contents) {
  const wire::BackupStart& start = contents.start;
  return absl::StrCat(
      path, ": whole, every checksum holds\n  cluster    ", start.cluster_id(), "\n  as of      ",
      absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixSeconds(start.time_s()),
                       absl::LocalTimeZone()),
      ", log index ", start.log_index(), "\n  records    ", SumOf(contents.end), ", ",
      HumanBytes(contents.end.bytes()), "; in the file ", HumanBytes(contents.file_bytes),
      "\n  written by penstock ", start.program(), ", format ", kBackupFormat, "\n");
}

// One part of the stream, checked and written.
class Receiver {
 public:
  explicit Receiver(BackupWriter* file) : file_(file) {}

  absl::Status Take(const wire::BackupPart& part) {
    if (part.has_start()) {
      start_ = part.start();
      RETURN_IF_ERROR(sums_.Start(start_));
      return file_->Append(BackupFrame::kStart, start_.SerializeAsString());
    }
    if (part.has_end()) {
      end_ = part.end();
      RETURN_IF_ERROR(sums_.End(end_));
      return file_->Append(BackupFrame::kEnd, end_.SerializeAsString());
    }
    RETURN_IF_ERROR(sums_.Block(part.block()));
    RETURN_IF_ERROR(file_->Append(BackupFrame::kBlock, part.block().SerializeAsString()));
    progress_.Show({.doing = "backup",
                    .done = sums_.records(),
                    .total = start_.records_about(),
                    .thing = "record",
                    .bytes = sums_.bytes()});
    return absl::OkStatus();
  }
  absl::StatusOr<BackupContents> Finish() {
    progress_.Clear();
    if (!sums_.ended()) return absl::DataLossError("the metaserver ended before the backup did");
    RETURN_IF_ERROR(file_->Finish());
    return BackupContents{start_, end_, file_->bytes()};
  }

 private:
  BackupWriter* const file_;
  BackupSums sums_;
  wire::BackupStart start_;
  wire::BackupEnd end_;
  ProgressLine progress_;
};

absl::Status Create(const BackupOptions& options) {
  umask(0077);  // names and attributes of everybody's files are in it
  const std::string path = AbsolutePath(options.file);
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  ASSIGN_OR_RETURN(const auto file, BackupWriter::Create(path, PosixFileSystem()));
  Receiver receiver(file.get());
  RETURN_IF_ERROR(admin.CreateBackup(
      [&receiver](const wire::BackupPart& part) { return receiver.Take(part); }));
  ASSIGN_OR_RETURN(const BackupContents contents, receiver.Finish());
  if (options.json) {
    PrintJson(ContentsJson(path, contents));
  } else {
    std::printf("%s: %llu records as of log index %llu, %s\n", path.c_str(),
                static_cast<unsigned long long>(SumOf(contents.end)),
                static_cast<unsigned long long>(contents.start.log_index()),
                HumanBytes(contents.file_bytes).c_str());
  }
  return absl::OkStatus();
}

absl::Status Show(const BackupOptions& options) {
  const std::string path = AbsolutePath(options.file);
  ProgressLine progress;
  ASSIGN_OR_RETURN(const BackupContents contents,
                   CheckBackup(path, PosixFileSystem(), [&progress](uint64_t bytes) {
                     progress.Show({.doing = "checking", .done = bytes, .thing = "byte"});
                   }));
  progress.Clear();
  if (options.json) {
    PrintJson(ContentsJson(path, contents));
  } else {
    std::fputs(ToText(path, contents).c_str(), stdout);
  }
  return absl::OkStatus();
}

// The directory of `penstock up` holds the metaserver's as `meta`.
absl::StatusOr<std::string> MetaserverDirectory(const std::string& dir) {
  ASSIGN_OR_RETURN(const bool is_cluster, PosixFileSystem()->Exists(dir + "/cluster.json"));
  return is_cluster ? dir + "/meta" : dir;
}

absl::Status Restore(const BackupOptions& options) {
  const std::string file = AbsolutePath(options.file);
  ASSIGN_OR_RETURN(const std::string dir, MetaserverDirectory(AbsolutePath(options.dir)));
  ASSIGN_OR_RETURN(const ProgramOutput output,
                   RunProgram({ProgramDirectory() + "/penstock-metaserver", "--dir", dir,
                               "--restore", file, "--log-level", "error"}));
  if (output.exit_code != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the backup was not restored: ", output.text));
  }
  std::printf(
      "%s"
      "What was changed after the backup is gone, and what was deleted is back by its name. Next:\n"
      "  1. start every chunkserver, and the metaserver on %s\n"
      "  2. penstock backup finish         the groups are formed from what the targets hold\n"
      "  3. penstock repair status --wait  until every copy is in sync\n"
      "  4. penstock fsck --repair         names files whose data is gone, frees data without "
      "file\n"
      "Mounts of before find their sessions ended: what they had not written yet is lost (EIO).\n",
      output.text.c_str(), ShellWord(dir).c_str());
  return absl::OkStatus();
}

Json RestoreJson(const wire::FinishRestoreResponse& response) {
  Json missing = Json::array();
  for (const std::string& name : response.missing()) missing.push_back(name);
  return {{"restored", response.restored()},
          {"formed", response.formed()},
          {"groups", response.groups()},
          {"groups_with_chunks", response.groups_with_chunks()},
          {"servers", response.servers()},
          {"targets", response.targets()},
          {"missing", missing}};
}

absl::Status Finish(const BackupOptions& options) {
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  wire::FinishRestoreRequest request;
  request.set_dry_run(options.dry_run);
  request.set_without_missing(options.without_missing);
  ASSIGN_OR_RETURN(const wire::FinishRestoreResponse response, admin.FinishRestore(request));
  if (options.json) PrintJson(RestoreJson(response));
  if (!response.restored()) {
    if (!options.json) std::puts("nothing to finish: the groups are formed");
    return absl::OkStatus();
  }
  if (!options.json) {
    std::printf("%s on %s said what they hold: %s, %u of them with data\n",
                Counted(response.targets(), "target").c_str(),
                Counted(response.servers(), "server").c_str(),
                Counted(response.groups(), "group").c_str(), response.groups_with_chunks());
    for (const std::string& name : response.missing()) {
      std::printf("  missing: %s\n", name.c_str());
    }
    if (response.formed()) std::puts("groups formed; `penstock repair status --wait` is next");
    if (options.dry_run) std::puts("nothing was done (--dry-run)");
  }
  if (response.formed() || options.dry_run) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      Counted(static_cast<uint64_t>(response.missing_size()), "server or target"),
      " did not say yet what they hold: start them and try again in a moment; what only they hold "
      "is left out, for good, with --without-missing"));
}

}  // namespace

void AddBackup(CLI::App& app, Program& program) {
  auto options = std::make_shared<BackupOptions>();
  auto run = [&program, options](absl::Status (*verb)(const BackupOptions&)) {
    return [&program, options, verb] { program.run = [options, verb] { return verb(*options); }; };
  };
  CLI::App* noun = app.add_subcommand("backup", "the metadata in one file: create, check, restore");
  noun->require_subcommand(1);

  CLI::App* create = noun->add_subcommand("create", "writes FILE, while the cluster runs");
  AddClusterOptions(create, options->cluster);
  create->add_option("FILE", options->file, "never overwritten")->required();
  create->add_flag("--json", options->json, "print JSON");
  create->callback(run(Create));

  CLI::App* show = noun->add_subcommand("show", "reads and checks all of FILE (exit 1: damaged)");
  show->add_option("FILE", options->file, "a backup")->required();
  show->add_flag("--json", options->json, "print JSON");
  show->callback(run(Show));

  CLI::App* restore = noun->add_subcommand(
      "restore", "into an empty metaserver directory, on the metaserver's machine");
  restore->add_option("FILE", options->file, "a backup")->required();
  restore->add_option("DIR", options->dir, "of the metaserver, or of `penstock up`")->required();
  restore->callback(run(Restore));

  CLI::App* finish = noun->add_subcommand(
      "finish", "after a restore: forms the groups from what the chunkservers hold");
  AddClusterOptions(finish, options->cluster);
  finish->add_flag("--dry-run", options->dry_run, "only say who has reported");
  finish->add_flag("--without-missing", options->without_missing,
                   "leave out, for good, what only missing targets hold");
  finish->add_flag("--json", options->json, "print JSON");
  finish->callback(run(Finish));
}

}  // namespace penstock::cli

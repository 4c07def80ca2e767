// `penstock stat`: a file's layout, its chunks, where each copy lies and whether its checksum
// holds.
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "cli/address.h"
#include "cli/admin_client.h"
#include "cli/chunk_check.h"
#include "cli/human.h"
#include "cli/listing.h"
#include "cli/mount_table.h"
#include "cli/paths.h"
#include "cli/verbs.h"
#include "common/file_layout.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr uint32_t kChunksAtOnce = 64;

struct StatOptions {
  ClusterOptions cluster;
  std::string path;
  bool no_verify = false;
  bool json = false;
};

// The file inside the file system, and its cluster if the mount told it.
struct Located {
  std::string path;
  std::string cluster;  // "host:port", or empty
};

// realpath of the directory, so that a symlink itself is described, not what it points to.
std::string ResolveDirectory(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == 0 ? "/" : path.substr(0, slash);
  char* real = realpath(directory.c_str(), nullptr);
  if (real == nullptr) return path;
  const std::string resolved = std::string(real) == "/" ? "" : real;
  free(real);
  return resolved + path.substr(slash);
}

absl::StatusOr<Located> Locate(const StatOptions& options) {
  const std::string absolute = AbsolutePath(options.path);
  const std::vector<MountEntry> table = MountTable();
  for (const std::string& path : {absolute, ResolveDirectory(absolute)}) {
    const std::optional<MountEntry> mount = MountOf(table, path);
    if (!mount.has_value() || mount->type != kFileSystemType) continue;
    ASSIGN_OR_RETURN(MountSource source, ParseMountSource(mount->source));
    const std::string below = path.substr(mount->mountpoint == "/" ? 0 : mount->mountpoint.size());
    const std::string root = mount->root == "/" ? "" : mount->root;
    const std::string inside = absl::StrCat(source.subdir, root, below);
    return Located{inside.empty() ? "/" : inside, source.address.ToString()};
  }
  if (!absl::StartsWith(options.path, "/") || options.cluster.cluster.empty()) {
    return UsageError(absl::StrCat(
        absolute,
        " does not lie on a Penstock mount; name a path on a mount, or with --cluster an "
        "absolute path inside the file system"));
  }
  return Located{absolute, ""};
}

const char* TypeName(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "symlink";
    case S_IFIFO:
      return "fifo";
    case S_IFSOCK:
      return "socket";
    case S_IFCHR:
      return "character device";
    case S_IFBLK:
      return "block device";
    default:
      return "unknown";
  }
}

bool HasChunks(const wire::Entry& entry) {
  return S_ISREG(entry.attr().mode()) && !entry.is_inline() && entry.attr().size() > 0 &&
         entry.layout().content_id() != 0;
}

uint64_t ChunkCount(const wire::Entry& entry) {
  if (!HasChunks(entry)) return 0;
  const uint64_t chunk = LayoutOf(entry.layout()).chunk_size_bytes();
  return (entry.attr().size() + chunk - 1) / chunk;
}

void PrintEntry(const std::string& path, const wire::Entry& entry, const ClusterMap& map) {
  const wire::Attr& attr = entry.attr();
  std::printf("%-10s %s\n", TypeName(attr.mode()), path.c_str());
  std::printf("%-10s %llu, mode %04o, uid %u, gid %u, links %u, data version %llu\n", "inode",
              static_cast<unsigned long long>(attr.ino()), attr.mode() & 07777, attr.uid(),
              attr.gid(), attr.nlink(), static_cast<unsigned long long>(attr.data_version()));
  if (!S_ISREG(attr.mode())) return;
  std::printf("%-10s %s\n", "size",
              attr.size() < 1024
                  ? Counted(attr.size(), "byte").c_str()
                  : absl::StrCat(HumanBytes(attr.size()), " (", attr.size(), " bytes)").c_str());
  if (entry.is_inline()) {
    std::printf("%-10s inline at the metaserver, no chunks\n", "layout");
    return;
  }
  const FileLayout layout = LayoutOf(entry.layout());
  const StorageClass* storage_class = map.FindClass(layout.storage_class);
  std::printf("%-10s content %llx, seed %08x, chunks of %s, class %s\n", "layout",
              static_cast<unsigned long long>(layout.content.value()), layout.seed,
              HumanBytes(layout.chunk_size_bytes()).c_str(),
              storage_class == nullptr ? "unknown" : storage_class->name.c_str());
  if (entry.other_writers()) {
    std::printf("%-10s open for writing, or closed just now: its size here may be behind\n",
                "note");
  }
}

std::string CopyText(const Copy& copy) {
  std::string text = absl::StrCat("target ", copy.target.value(), " @ ",
                                  copy.server_address.empty() ? "?" : copy.server_address, " ",
                                  CopyStateName(copy.state));
  if (copy.state != CopyState::kHolds && !copy.message.empty()) {
    absl::StrAppend(&text, " (", copy.message, ")");
  }
  return text;
}

void PrintChunk(const CheckedChunk& chunk) {
  if (chunk.hole()) {
    std::printf("%8u  group %-5u hole: no member has it, it reads as zeros\n", chunk.key.index,
                chunk.group);
    return;
  }
  const Copy* newest = nullptr;
  for (const Copy& copy : chunk.copies) {
    if (newest == nullptr || newest->version < copy.version) newest = &copy;
  }
  std::vector<std::string> copies;
  for (const Copy& copy : chunk.copies) copies.push_back(CopyText(copy));
  std::printf("%8u  group %-5u version %-9s %10s  %s\n", chunk.key.index, chunk.group,
              newest == nullptr ? "-" : ToString(newest->version).c_str(),
              newest == nullptr ? "-" : HumanBytes(newest->length_bytes).c_str(),
              absl::StrJoin(copies, " > ").c_str());
}

Json ChunkJson(const CheckedChunk& chunk, bool verify) {
  Json copies = Json::array();
  for (const Copy& copy : chunk.copies) {
    copies.push_back({{"target", copy.target.value()},
                      {"server", copy.server.value()},
                      {"address", copy.server_address},
                      {"path", copy.path},
                      {"state", CopyStateName(copy.state)},
                      {"checksum_ok", verify && (copy.state == CopyState::kHolds)},
                      {"version", ToString(copy.version)},
                      {"length_bytes", copy.length_bytes},
                      {"stored_bytes", copy.stored_bytes},
                      {"message", copy.message}});
  }
  return {{"index", chunk.key.index}, {"group", chunk.group},   {"epoch", chunk.epoch},
          {"hole", chunk.hole()},     {"holds", chunk.holds()}, {"copies", std::move(copies)}};
}

Json EntryJson(const std::string& path, const wire::Entry& entry) {
  const wire::Attr& attr = entry.attr();
  Json json = {{"path", path},
               {"type", TypeName(attr.mode())},
               {"inode", attr.ino()},
               {"mode", absl::StrFormat("%04o", attr.mode() & 07777)},
               {"uid", attr.uid()},
               {"gid", attr.gid()},
               {"links", attr.nlink()},
               {"size_bytes", attr.size()},
               {"data_version", attr.data_version()},
               {"inline", entry.is_inline()}};
  if (S_ISREG(attr.mode())) {
    const FileLayout layout = LayoutOf(entry.layout());
    json["open_for_writing"] = entry.other_writers();
    json["layout"] = {{"content", absl::StrFormat("%016x", layout.content.value())},
                      {"seed", layout.seed},
                      {"chunk_size_bytes", layout.chunk_size_bytes()},
                      {"storage_class", layout.storage_class}};
  }
  return json;
}

struct Tally {
  uint64_t chunks = 0;
  uint64_t holes = 0;
  uint64_t bad_chunks = 0;
};

absl::StatusOr<Tally> CheckChunks(const wire::StatPathResponse& answer,
                                  std::shared_ptr<const ClusterMap> map,
                                  const std::string& key_file, const StatOptions& options,
                                  Json& list) {
  Tally tally;
  const uint64_t count = ChunkCount(answer.entry());
  if (count == 0) return tally;
  ASSIGN_OR_RETURN(const net::ClusterKey key, net::ClusterKey::Load(key_file));
  ChunkCheck check(map, LayoutOf(answer.entry().layout()), {key, map->cluster_id()});
  const bool verify = !options.no_verify;
  for (uint64_t at = 0; at < count; at += kChunksAtOnce) {
    const auto n = static_cast<uint32_t>(std::min<uint64_t>(kChunksAtOnce, count - at));
    ASSIGN_OR_RETURN(std::vector<CheckedChunk> chunks,
                     check.Check(static_cast<uint32_t>(at), n, verify));
    for (const CheckedChunk& chunk : chunks) {
      ++tally.chunks;
      tally.holes += chunk.hole();
      tally.bad_chunks += !chunk.holds();
      if (options.json) {
        list.push_back(ChunkJson(chunk, verify));
      } else {
        PrintChunk(chunk);
      }
    }
  }
  return tally;
}

absl::Status ShowStat(const StatOptions& options) {
  ASSIGN_OR_RETURN(Located located, Locate(options));
  ClusterOptions which = options.cluster;
  // The mount knows its cluster better than the last `penstock up` does.
  if (which.cluster.empty() && !located.cluster.empty()) which.cluster = located.cluster;
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(which));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  absl::StatusOr<wire::StatPathResponse> answer = admin.StatPath(located.path);
  if (!answer.ok()) return Annotate(answer.status(), located.path);
  auto map = std::make_shared<ClusterMap>();
  RETURN_IF_ERROR(map->Apply(answer->map()));
  Json json = EntryJson(located.path, answer->entry());
  Json list = Json::array();
  if (!options.json) PrintEntry(located.path, answer->entry(), *map);
  ASSIGN_OR_RETURN(Tally tally, CheckChunks(*answer, map, cluster.keys_directory + "/cluster.key",
                                            options, list));
  if (options.json) {
    json["chunks"] = std::move(list);
    json["verified"] = !options.no_verify;
    json["bad_chunks"] = tally.bad_chunks;
    PrintJson(json);
  } else if (tally.chunks > 0) {
    std::printf("%s, %s; %s\n", Counted(tally.chunks, "chunk").c_str(),
                Counted(tally.holes, "hole").c_str(),
                tally.bad_chunks > 0 ? "not every copy holds"
                : options.no_verify  ? "every copy is there (checksums not read)"
                                     : "every copy holds");
  }
  if (tally.bad_chunks == 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(Counted(tally.bad_chunks, "chunk"), " of ", located.path,
                                          " without all copies well"));
}

}  // namespace

void AddStat(CLI::App& app, Program& program) {
  auto options = std::make_shared<StatOptions>();
  CLI::App* verb = app.add_subcommand(
      "stat", "layout and chunks of a file, where each copy lies and whether its checksum holds");
  verb->add_option("PATH", options->path,
                   "a path on a mount, or with --cluster an absolute path inside the file system")
      ->required();
  AddClusterOptions(verb, options->cluster);
  verb->add_flag("--no-verify", options->no_verify, "do not read the copies to check them");
  verb->add_flag("--json", options->json, "print JSON");
  verb->footer("Exit code 1 when a copy is missing, damaged, out of date or cannot be reached.");
  verb->callback([&program, options] { program.run = [options] { return ShowStat(*options); }; });
}

}  // namespace penstock::cli

// penstock-damage: plants damage in the records of a stopped metaserver or chunkserver, for the
// tests of `penstock fsck`. Never installed.
//   penstock-damage meta DB set INODE FIELD NUMBER      FIELD: nlink, size, parent
//   penstock-damage meta DB drop-inode INODE
//   penstock-damage meta DB add-name PARENT NAME INODE
//   penstock-damage meta DB drop-name PARENT NAME
//   penstock-damage meta DB add-orphan INODE
//   penstock-damage meta DB add-counters INODES BYTES
//   penstock-damage chunk TARGET drop CONTENT INDEX
#include <absl/strings/numbers.h>
#include <sys/stat.h>

#include <cstdio>
#include <string>
#include <vector>

#include "chunkserver/store/chunk_store.h"
#include "common/clock.h"
#include "common/content_seed.h"
#include "common/placement.h"
#include "common/program.h"
#include "common/status.h"
#include "metaserver/store/keys.h"
#include "metaserver/store/meta_store.h"

namespace penstock {
namespace {

using metaserver::Family;
using Words = std::vector<std::string>;

absl::StatusOr<uint64_t> Number(const Words& words, size_t at) {
  uint64_t number = 0;
  if (at >= words.size() || !absl::SimpleAtoi(words[at], &number)) {
    return absl::InvalidArgumentError("a number is missing");
  }
  return number;
}

class MetaDamage {
 public:
  explicit MetaDamage(const metaserver::MetaStore* store) : store_(store) {}

  absl::Status Do(const Words& words) {
    const std::string what = words.empty() ? "" : words[0];
    if (what == "set") return Set(words);
    if (what == "add-counters") return AddCounters(words);
    if (what == "add-name" || what == "drop-name") return Name(words);
    ASSIGN_OR_RETURN(const uint64_t number, Number(words, 1));
    const InodeNumber ino(number);
    if (what == "drop-inode") return Delete(Family::kInode, metaserver::InodeKey(ino));
    if (what == "add-orphan") {
      return Put(Family::kOrphan, metaserver::OrphanKey({4'000'000'000, 0}, ino),
                 metaserver::EncodeOrphan({}));
    }
    return absl::InvalidArgumentError("no such damage");
  }

 private:
  absl::Status Put(Family family, const std::string& key, const std::string& value) {
    const auto done = store_->db()->Put({}, store_->family(family), key, value);
    return done.ok() ? absl::OkStatus() : absl::InternalError(done.ToString());
  }
  absl::Status Delete(Family family, const std::string& key) {
    const auto done = store_->db()->Delete({}, store_->family(family), key);
    return done.ok() ? absl::OkStatus() : absl::InternalError(done.ToString());
  }
  absl::Status Set(const Words& words) {
    ASSIGN_OR_RETURN(const uint64_t number, Number(words, 1));
    ASSIGN_OR_RETURN(const uint64_t value, Number(words, 3));
    const std::string key = metaserver::InodeKey(InodeNumber(number));
    ASSIGN_OR_RETURN(const std::string record, store_->Get(Family::kInode, key));
    ASSIGN_OR_RETURN(metaserver::Inode inode, metaserver::DecodeInode(InodeNumber(number), record));
    if (words[2] == "nlink") inode.nlink = static_cast<uint32_t>(value);
    if (words[2] == "size") inode.size = value;
    if (words[2] == "parent") inode.parent_local = value;
    return Put(Family::kInode, key, metaserver::EncodeInode(inode));
  }
  absl::Status Name(const Words& words) {
    ASSIGN_OR_RETURN(const uint64_t parent, Number(words, 1));
    if (words.size() < 3) return absl::InvalidArgumentError("a name is missing");
    const std::string key = metaserver::DentryKey(InodeNumber(parent), words[2]);
    if (words[0] == "drop-name") return Delete(Family::kDentry, key);
    ASSIGN_OR_RETURN(const uint64_t ino, Number(words, 3));
    return Put(Family::kDentry, key, metaserver::EncodeDentry({InodeNumber(ino).local(), S_IFREG}));
  }
  absl::Status AddCounters(const Words& words) {
    ASSIGN_OR_RETURN(const uint64_t inodes, Number(words, 1));
    ASSIGN_OR_RETURN(const uint64_t bytes, Number(words, 2));
    const auto done = store_->db()->Merge(
        {}, store_->family(Family::kDataset), metaserver::CountersKey(kRootDataset),
        metaserver::EncodeCounters({static_cast<int64_t>(inodes), static_cast<int64_t>(bytes)}));
    return done.ok() ? absl::OkStatus() : absl::InternalError(done.ToString());
  }

  const metaserver::MetaStore* const store_;
};

absl::Status DamageChunk(const std::string& target, const Words& words) {
  ASSIGN_OR_RETURN(const uint64_t content, Number(words, 1));
  ASSIGN_OR_RETURN(const uint64_t index, Number(words, 2));
  FileLayout layout;
  layout.content = ContentId(content);
  layout.seed = SeedOfContent(layout.content);
  chunkserver::ChunkStoreOptions options;
  options.dir = target;
  options.reserve_bytes = 0;
  ASSIGN_OR_RETURN(const auto identity,
                   chunkserver::ChunkStore::ReadIdentity(target, PosixFileSystem()));
  options.cluster_id = identity.cluster_id;
  ASSIGN_OR_RETURN(
      const auto store,
      chunkserver::ChunkStore::Open(options, MachineBootId(), PosixFileSystem(), SystemClock()));
  const ChunkKey key = ChunkKeyOf(layout, static_cast<uint32_t>(index));
  ASSIGN_OR_RETURN(const auto info, store->Stat(key));
  if (!info.exists()) return absl::NotFoundError("no such chunk there");
  RETURN_IF_ERROR(store->Drop(key));
  return store->Barrier();
}

absl::Status Run(Words words) {
  if (words.size() < 3) return absl::InvalidArgumentError("see the head of tests/damage/main.cc");
  const std::string kind = words[0];
  const std::string where = words[1];
  words.erase(words.begin(), words.begin() + 2);
  if (kind == "chunk") return DamageChunk(where, words);
  ASSIGN_OR_RETURN(const auto store, metaserver::MetaStore::Open({.dir = where}));
  return MetaDamage(store.get()).Do(words);
}

}  // namespace
}  // namespace penstock

int main(int argc, char** argv) {
  const absl::Status status = penstock::Run({argv + 1, argv + argc});
  if (status.ok()) return 0;
  std::fprintf(stderr, "penstock-damage: %s\n", status.ToString().c_str());
  return absl::IsNotFound(status) ? 3 : 1;
}

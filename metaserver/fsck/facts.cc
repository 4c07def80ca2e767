#include "metaserver/fsck/facts.h"

#include <algorithm>

#include "common/status.h"
#include "metaserver/store/keys.h"
#include "metaserver/store/record_blocks.h"
#include "metaserver/store/record_codec.h"

namespace penstock::metaserver {
namespace {

constexpr int kRowsAMessage = 4000;

class FactsSender {
 public:
  FactsSender(const MetaStore& store, absl::FunctionRef<absl::Status(const wire::Facts&)> send)
      : snapshot_(&store), send_(send) {}

  absl::Status Run() {
    ASSIGN_OR_RETURN(const uint64_t index, snapshot_.log_index());
    facts_.set_log_index(index);
    facts_.set_inodes_about(snapshot_.records_about() / 2);  // a name each
    RETURN_IF_ERROR(SendInodes());
    RETURN_IF_ERROR(SendNames());
    RETURN_IF_ERROR(SendLists());
    RETURN_IF_ERROR(SendXattrs());
    RETURN_IF_ERROR(FillCounters());
    facts_.set_end(true);
    return Send();
  }

 private:
  absl::Status Send() {
    rows_ = 0;
    RETURN_IF_ERROR(send_(facts_));
    facts_.Clear();
    return absl::OkStatus();
  }
  absl::StatusOr<bool> Added() {
    if (++rows_ >= kRowsAMessage) RETURN_IF_ERROR(Send());
    return true;
  }

  absl::Status SendInodes() {
    return snapshot_.Visit(
        Family::kInode, "",
        [this](std::string_view key, std::string_view value) -> absl::StatusOr<bool> {
          if (key.size() != 8) return absl::DataLossError("damaged inode key");
          const InodeNumber ino(ReadBig64(key));
          auto inode = DecodeInode(ino, value);
          wire::InodeFacts& facts = *facts_.add_inodes();
          if (inode.ok()) facts = FactsOf(*inode);
          facts.set_ino(ino.value());
          facts.set_damaged(!inode.ok());
          return Added();
        });
  }
  absl::Status SendNames() {
    return snapshot_.Visit(
        Family::kDentry, "",
        [this](std::string_view key, std::string_view value) -> absl::StatusOr<bool> {
          if (key.size() < kDentryPrefixBytes) return absl::DataLossError("damaged key of a name");
          const InodeNumber parent(ReadBig64(key));
          wire::NameFacts& facts = *facts_.add_names();
          facts.set_parent(parent.value());
          auto dentry = DecodeDentry(value);
          facts.set_damaged(!dentry.ok());
          if (dentry.ok()) {
            facts.set_ino(InodeNumber(parent.dataset(), dentry->local).value());
            facts.set_type(dentry->type);
          }
          return Added();
        });
  }
  absl::Status SendLists() {
    return snapshot_.Visit(Family::kOrphan, "",
                           [this](std::string_view key, std::string_view) -> absl::StatusOr<bool> {
                             FileTime since;
                             uint64_t id = 0;
                             if (key[0] == kTruncateList && key.size() == 9) {
                               id = ReadBig64(key.substr(1));
                             } else {
                               RETURN_IF_ERROR(ParseTimedKey(key, since, id));
                             }
                             if (key[0] == kDeadContentList) {
                               facts_.add_dead_contents(id);
                               return Added();
                             }
                             auto* entry = key[0] == kTruncateList ? facts_.add_truncations()
                                                                   : facts_.add_orphans();
                             entry->set_key(std::string(key));
                             entry->set_ino(id);
                             return Added();
                           });
  }
  absl::Status SendXattrs() {
    uint64_t last = 0;
    return snapshot_.Visit(
        Family::kXattr, "",
        [this, &last](std::string_view key, std::string_view) -> absl::StatusOr<bool> {
          if (key.size() < kXattrPrefixBytes) return absl::DataLossError("damaged attribute key");
          const uint64_t ino = ReadBig64(key);
          if (ino == last) return true;
          last = ino;
          facts_.add_xattrs(ino);
          return Added();
        });
  }
  absl::Status FillCounters() {
    return snapshot_.Visit(
        Family::kDataset, CountersKey(kRootDataset),
        [this](std::string_view, std::string_view value) -> absl::StatusOr<bool> {
          ASSIGN_OR_RETURN(const DatasetCounters counters, DecodeCounters(value));
          facts_.set_counted_inodes(counters.inodes);
          facts_.set_counted_bytes(counters.bytes);
          return false;
        });
  }

  const StoreSnapshot snapshot_;
  absl::FunctionRef<absl::Status(const wire::Facts&)> send_;
  wire::Facts facts_;
  int rows_ = 0;
};

}  // namespace

wire::InodeFacts FactsOf(const Inode& inode) {
  wire::InodeFacts facts;
  facts.set_ino(inode.ino.value());
  facts.set_mode(inode.mode);
  facts.set_nlink(inode.nlink);
  facts.set_size(inode.size);
  facts.set_parent(inode.parent_local);
  facts.set_change(inode.change);
  facts.set_is_inline(inode.is_inline);
  if (inode.is_regular()) facts.set_content_id(inode.layout.layout.content.value());
  facts.set_seed(inode.layout.layout.seed);
  facts.set_chunk_size_log2(inode.layout.layout.chunk_size_log2);
  facts.set_storage_class(inode.layout.layout.storage_class);
  facts.set_allocated(inode.allocated);
  facts.set_truncating(inode.truncate.id != 0);
  facts.set_truncating_to(inode.truncate.id != 0 ? inode.truncate.old_size : 0);
  return facts;
}

absl::Status VisitFacts(const MetaStore& store,
                        absl::FunctionRef<absl::Status(const wire::Facts&)> send) {
  return FactsSender(store, send).Run();
}

}  // namespace penstock::metaserver

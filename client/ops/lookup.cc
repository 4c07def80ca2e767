// lookup: a name in a directory, from the cache while a lease covers it. What was found is kept for
// the open that follows.
#include <sys/stat.h>

#include <cerrno>

#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {

absl::StatusOr<Looked> FileSystem::FindEntry(EntryName name, const OpContext& op) {
  Looked looked;
  // "." and ".." come from open_by_handle_at, of any inode; they are no names of a listing.
  const bool by_number = name.name == "." || name.name == "..";
  const EntryCache::Name known = by_number ? EntryCache::Name::kUnknown
                                           : cache_->Lookup(name.parent, name.name, &looked.entry);
  looked.name_cached = known != EntryCache::Name::kUnknown;
  std::atomic<uint64_t>& counter =
      looked.name_cached ? counters_.lookups_cached : counters_.lookups_asked;
  counter.fetch_add(1, std::memory_order_relaxed);
  if (known == EntryCache::Name::kUnknown) {
    const uint64_t token = cache_->token();
    wire::LookupRequest request;
    request.set_parent(name.parent.value());
    request.set_name(std::string(name.name));
    request.set_absent_is_ok(true);
    ASSIGN_OR_RETURN(wire::EntryResponse response,
                     meta_->Query<wire::EntryResponse>(wire::METHOD_LOOKUP, request, op));
    if (!by_number) prefetch_.NoteUnknown(name.parent, op);
    looked.entry = std::move(*response.mutable_entry());
    const wire::Attr& attr = looked.entry.attr();
    if (response.name_leased()) {
      looked.name_cached = attr.ino() == 0
                               ? cache_->StoreAbsent(token, name.parent, name.name)
                               : cache_->StoreName(token, name.parent,
                                                   {std::string(name.name), InodeNumber(attr.ino()),
                                                    attr.mode() & S_IFMT});
    }
    if (attr.ino() != 0 && !cache_->StoreRecord(token, looked.entry)) {
      looked.entry.set_leased_by(0);
    }
  }
  return looked;
}

// Linux looks both names of a rename up, one after the other, and answers by itself when they lead
// to one inode (nothing happens), or to a file and a directory, or when the second must not exist.
// When another mount changed the first meanwhile, such an answer is of no moment that ever was.
// ESTALE to the lookup of the second makes Linux begin anew (once), and then ask for both.
absl::Status FileSystem::CheckRename(EntryName name, const wire::Attr& found, const OpContext& op) {
  if (kernel_ == nullptr) return absl::OkStatus();
  const InodeNumber ino(found.ino());
  const auto back = lookups_.IsSentBack(op.thread, name.parent, name.name);
  const auto first = lookups_.Last(op.thread);
  const bool doubtful = first && !cache_->Knows(first->name, first->ino);
  // A name that Linux remembers is not looked up here; when it begins anew it remembers none.
  const bool lost = back == FreshLookups::SentBack::kNo && lost_names_.Contains(ino);
  if (!doubtful && !lost && back != FreshLookups::SentBack::kHere) return absl::OkStatus();
  const auto call = kernel_->RenameOf(op.thread);
  if (!call || call->to != name.name) return absl::OkStatus();
  bool gone = back == FreshLookups::SentBack::kHere || (lost && call->from != name.name);
  if (!gone && doubtful && first->name.name == call->from) {
    const bool decides =
        first->ino == ino || S_ISDIR(first->mode) != S_ISDIR(found.mode()) || call->no_replace;
    if (!decides) return absl::OkStatus();
    ASSIGN_OR_RETURN(const Looked looked, FindEntry({first->name.parent, first->name.name}, op));
    gone = InodeNumber(looked.entry.attr().ino()) != first->ino;
  }
  if (!gone) return absl::OkStatus();
  lookups_.SendBack(op.thread, {name.parent, std::string(name.name)});
  return PosixError(ESTALE, "renamed meanwhile");
}

absl::StatusOr<Looked> FileSystem::Lookup(EntryName name, const OpContext& op) {
  const uint64_t token = cache_->token();
  ASSIGN_OR_RETURN(Looked looked, FindEntry(name, op));
  const InodeNumber ino(looked.entry.attr().ino());
  if (!ino.valid()) {
    lookups_.Remember(op.thread, {name.parent, std::string(name.name), std::nullopt, token});
    return looked;
  }
  RETURN_IF_ERROR(CheckRename(name, looked.entry.attr(), op));
  lookups_.Remember(op.thread, {name.parent, std::string(name.name), looked.entry, token});
  looked.entry = Merge(looked.entry);
  return looked;
}

}  // namespace penstock::client

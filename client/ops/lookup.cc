// lookup: a name in a directory, from the cache while a lease covers it. What was found is kept for
// the open that follows.
#include <cerrno>

#include "client/file_system.h"
#include "common/status.h"

namespace penstock::client {

absl::StatusOr<Looked> FileSystem::Lookup(EntryName name, const OpContext& op) {
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
  if (looked.entry.attr().ino() == 0) {
    lookups_.Remember(op.thread, {name.parent, std::string(name.name), std::nullopt});
    return looked;
  }
  lookups_.Remember(op.thread, {name.parent, std::string(name.name), looked.entry});
  looked.entry = Merge(looked.entry);
  return looked;
}

}  // namespace penstock::client

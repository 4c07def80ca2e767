// FileReader reads a file as this mount sees it: what was written here on top of what the servers
// have. Bytes go straight from the wire into the caller's buffer. Thread-safe.
#pragma once

#include <memory>

#include "client/chunk_api.h"
#include "client/inode.h"
#include "client/meta_api.h"

namespace penstock::client {

class FileReader {
 public:
  // Both must outlive the reader.
  FileReader(MetaApi* meta, ChunkApi* chunks) : meta_(meta), chunks_(chunks) {}

  // Bytes read: short only at the file's end.
  absl::StatusOr<size_t> Read(const std::shared_ptr<Inode>& inode, uint64_t offset,
                              absl::Span<char> into, const OpContext& op);
  // SEEK_DATA and SEEK_HOLE; ENXIO beyond the end.
  absl::StatusOr<uint64_t> Seek(const std::shared_ptr<Inode>& inode, uint64_t offset, bool data,
                                const OpContext& op);

 private:
  struct Missing {  // a range of the caller's buffer that the servers must fill
    uint64_t at = 0;
    uint64_t length = 0;
  };
  // What is known here goes into the buffer; nothing is missing of an inline file.
  size_t ReadLocal(const Inode& inode, uint64_t offset, absl::Span<char> into, FileLayout* layout,
                   std::vector<Missing>* missing) const;
  absl::StatusOr<bool> LayoutIsCurrent(Inode& inode, ContentId content, const OpContext& op);

  MetaApi* const meta_;
  ChunkApi* const chunks_;
};

}  // namespace penstock::client

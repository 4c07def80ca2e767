#include "common/status.h"
#include "metaserver/ops/read_operations.h"

namespace penstock::metaserver {

absl::Status Listxattr(const ReadView& view, const wire::ListxattrRequest& request,
                       wire::ListxattrResponse& response) {
  const InodeNumber ino(request.ino());
  RETURN_IF_ERROR(view.GetInode(ino).status());
  return view.VisitXattrs(ino, [&response](std::string_view name, std::string_view) {
    response.add_names(name.data(), name.size());
  });
}

}  // namespace penstock::metaserver

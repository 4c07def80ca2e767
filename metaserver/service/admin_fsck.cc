// Admin.ReadFacts, DescribeInodes and ApplyFixes: what `penstock fsck` asks for.
#include <cerrno>

#include "common/net/grpc_credentials.h"
#include "common/status.h"
#include "metaserver/fsck/facts.h"
#include "metaserver/fsck/fixes.h"
#include "metaserver/service/admin_service.h"

namespace penstock::metaserver {

grpc::Status AdminService::ReadFacts(grpc::ServerContext*, const wire::ReadFactsRequest*,
                                     grpc::ServerWriter<wire::Facts>* writer) {
  return net::ToGrpc(
      VisitFacts(sources_.names->store(), [writer](const wire::Facts& facts) -> absl::Status {
        if (!writer->Write(facts)) return absl::CancelledError("the asker is gone");
        return absl::OkStatus();
      }));
}

grpc::Status AdminService::DescribeInodes(grpc::ServerContext*,
                                          const wire::DescribeInodesRequest* request,
                                          wire::DescribeInodesResponse* response) {
  return net::ToGrpc(sources_.names->ReadUnchecked({}, [&](const ReadView& view) -> absl::Status {
    for (uint64_t number : request->inodes()) {
      const InodeNumber ino(number);
      const auto inode = view.GetInode(ino);
      wire::InodeFacts& facts = *response->add_inodes();
      if (inode.ok()) facts = FactsOf(*inode);
      facts.set_ino(number);
      facts.set_damaged(!inode.ok() && ErrnoOf(inode.status()) != ESTALE);
      facts.set_open_for_writing(sources_.names->sessions().OtherWriters(ino, SessionId()));
    }
    return absl::OkStatus();
  }));
}

grpc::Status AdminService::ApplyFixes(grpc::ServerContext*, const wire::ApplyFixesRequest* request,
                                      wire::ApplyFixesResponse* response) {
  Fixes fixes(sources_.names, sources_.cluster);
  for (const wire::Fix& fix : request->fixes()) *response->add_results() = fixes.Apply(fix);
  return grpc::Status::OK;
}

}  // namespace penstock::metaserver

// Admin.CreateBackup and Admin.FinishRestore.
#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include "common/checksum.h"
#include "common/logging.h"
#include "common/net/grpc_credentials.h"
#include "common/status.h"
#include "metaserver/service/admin_service.h"
#include "metaserver/store/record_blocks.h"

namespace penstock::metaserver {
namespace {

class Sender {
 public:
  explicit Sender(grpc::ServerWriter<wire::BackupPart>* writer) : writer_(writer) {}

  // Waits while the asker is slow: a block is all that is in memory.
  absl::Status Send(const wire::BackupPart& part) {
    if (!writer_->Write(part)) return absl::CancelledError("the asker is gone");
    return absl::OkStatus();
  }
  absl::Status SendBlock(RecordBlock block) {
    wire::BackupPart part;
    wire::BackupBlock& to = *part.mutable_block();
    const auto family = static_cast<int>(block.family);
    end_.set_records(family, end_.records(family) + block.records);
    end_.set_bytes(end_.bytes() + block.data.size());
    end_.set_blocks(end_.blocks() + 1);
    to.set_family(static_cast<uint32_t>(family));
    to.set_records(block.records);
    to.set_crc32c(Crc32c(block.data));
    to.set_data(std::move(block.data));
    return Send(part);
  }
  absl::Status SendAll(const StoreSnapshot& snapshot) {
    for (size_t i = 0; i < kFamilies; ++i) end_.add_records(0);
    RETURN_IF_ERROR(snapshot.VisitBlocks(
        [this](RecordBlock block) -> absl::Status { return SendBlock(std::move(block)); }));
    wire::BackupPart part;
    *part.mutable_end() = end_;
    return Send(part);
  }
  const wire::BackupEnd& end() const { return end_; }

 private:
  grpc::ServerWriter<wire::BackupPart>* const writer_;
  wire::BackupEnd end_;
};

}  // namespace

grpc::Status AdminService::CreateBackup(grpc::ServerContext*, const wire::CreateBackupRequest*,
                                        grpc::ServerWriter<wire::BackupPart>* writer) {
  if (backup_runs_.exchange(true)) {
    return net::ToGrpc(absl::FailedPreconditionError(
        "another backup is being made; try again when that one has ended"));
  }
  const auto ends = absl::MakeCleanup([this] { backup_runs_.store(false); });
  const StoreSnapshot snapshot(&sources_.names->store());
  wire::BackupPart first;
  wire::BackupStart& start = *first.mutable_start();
  const auto index = snapshot.log_index();
  if (!index.ok()) return net::ToGrpc(index.status());
  start.set_cluster_id(sources_.cluster->cluster_id());
  start.set_log_index(*index);
  start.set_time_s(absl::ToUnixSeconds(sources_.clock->Now()));
  start.set_program(PENSTOCK_VERSION);
  start.set_store_format(kStoreFormat);
  start.set_records_about(snapshot.records_about());
  start.set_bytes_about(snapshot.bytes_about());
  Sender sender(writer);
  absl::Status sent = sender.Send(first);
  if (sent.ok()) sent = sender.SendAll(snapshot);
  if (sent.ok()) {
    SPDLOG_INFO("backup sent log_index={} blocks={} bytes={}", *index, sender.end().blocks(),
                sender.end().bytes());
  } else {
    SPDLOG_WARN("backup not sent error={}", Quoted(sent.ToString()));
  }
  return net::ToGrpc(sent);
}

grpc::Status AdminService::FinishRestore(grpc::ServerContext*,
                                         const wire::FinishRestoreRequest* request,
                                         wire::FinishRestoreResponse* response) {
  auto finished = sources_.cluster->FinishRestore(*request);
  if (!finished.ok()) return net::ToGrpc(finished.status());
  *response = *std::move(finished);
  return grpc::Status::OK;
}

}  // namespace penstock::metaserver

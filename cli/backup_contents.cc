#include "cli/backup_contents.h"

#include <google/protobuf/util/message_differencer.h>

#include "common/backup_file.h"
#include "common/checksum.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr uint32_t kMostFamilies = 256;

template <typename Message>
absl::StatusOr<Message> Parse(const std::string& payload) {
  Message message;
  if (!message.ParseFromString(payload)) {
    return absl::DataLossError("a frame of the backup cannot be read");
  }
  return message;
}

}  // namespace

absl::Status BackupSums::Start(const wire::BackupStart& start) {
  if (started_ || start.cluster_id().empty()) {
    return absl::DataLossError("the backup's parts are not in order");
  }
  started_ = true;
  return absl::OkStatus();
}

absl::Status BackupSums::Block(const wire::BackupBlock& block) {
  if (!started_ || ended_ || block.family() >= kMostFamilies) {
    return absl::DataLossError("the backup's parts are not in order");
  }
  if (Crc32c(block.data()) != block.crc32c()) {
    return absl::DataLossError("a block of the backup has the wrong checksum");
  }
  const auto family = static_cast<int>(block.family());
  while (sums_.records_size() <= family) sums_.add_records(0);
  sums_.set_records(family, sums_.records(family) + block.records());
  sums_.set_bytes(sums_.bytes() + block.data().size());
  sums_.set_blocks(sums_.blocks() + 1);
  all_ += block.records();
  return absl::OkStatus();
}

absl::Status BackupSums::End(const wire::BackupEnd& end) {
  if (!started_ || ended_) return absl::DataLossError("the backup's parts are not in order");
  while (sums_.records_size() < end.records_size()) sums_.add_records(0);
  if (!google::protobuf::util::MessageDifferencer::Equals(sums_, end)) {
    return absl::DataLossError("parts of the backup are missing");
  }
  ended_ = true;
  return absl::OkStatus();
}

absl::StatusOr<BackupContents> CheckBackup(const std::string& path, FileSystem* fs,
                                           absl::FunctionRef<void(uint64_t)> read) {
  ASSIGN_OR_RETURN(const auto reader, BackupReader::Open(path, fs));
  BackupContents contents;
  contents.file_bytes = reader->bytes();
  BackupSums sums;
  while (true) {
    auto frame = reader->Next();
    if (absl::IsOutOfRange(frame.status())) return contents;
    RETURN_IF_ERROR(frame.status());
    read(reader->offset());
    if (frame->frame == BackupFrame::kStart) {
      ASSIGN_OR_RETURN(contents.start, Parse<wire::BackupStart>(frame->payload));
      RETURN_IF_ERROR(sums.Start(contents.start));
    } else if (frame->frame == BackupFrame::kBlock) {
      ASSIGN_OR_RETURN(const auto block, Parse<wire::BackupBlock>(frame->payload));
      RETURN_IF_ERROR(sums.Block(block));
    } else {
      ASSIGN_OR_RETURN(contents.end, Parse<wire::BackupEnd>(frame->payload));
      RETURN_IF_ERROR(sums.End(contents.end));
    }
  }
}

}  // namespace penstock::cli

// The frames of a backup file (docs/formats/backup.md): one start, blocks, one end, each with its
// number and checksums, so that a torn, cut, spliced or damaged file is told from a whole one.
// Knows nothing of what the frames say. Not thread-safe.
//
// Order on disk: everything goes into PATH.partial, which is synced and then renamed, and the
// directory is synced. What stands under the final name is whole.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/file.h"

namespace penstock {

inline constexpr uint32_t kBackupFormat = 1;
inline constexpr size_t kMaxBackupFrameBytes = 64 << 20;

enum class BackupFrame : uint8_t { kStart = 1, kBlock = 2, kEnd = 3 };

class BackupWriter {
 public:
  // ALREADY_EXISTS: there is a file of that name. `fs` must outlive the writer.
  static absl::StatusOr<std::unique_ptr<BackupWriter>> Create(const std::string& path,
                                                              FileSystem* fs);
  ~BackupWriter();  // without Finish(): what was written is removed
  BackupWriter(const BackupWriter&) = delete;
  BackupWriter& operator=(const BackupWriter&) = delete;

  absl::Status Append(BackupFrame frame, std::string_view payload);
  absl::Status Finish();  // after the end frame
  uint64_t bytes() const { return offset_; }

 private:
  BackupWriter(std::string path, std::unique_ptr<File> file, FileSystem* fs)
      : path_(std::move(path)), file_(std::move(file)), fs_(fs) {}
  absl::Status Put(std::string_view bytes);

  const std::string path_;
  std::unique_ptr<File> file_;
  FileSystem* const fs_;
  uint64_t offset_ = 0;
  uint32_t frames_ = 0;
  bool finished_ = false;
};

class BackupReader {
 public:
  // FAILED_PRECONDITION: another format than this program knows. DATA_LOSS: no backup file.
  static absl::StatusOr<std::unique_ptr<BackupReader>> Open(const std::string& path,
                                                            FileSystem* fs);
  struct Read {
    BackupFrame frame = BackupFrame::kStart;
    std::string payload;
  };
  // The next frame, checked. DATA_LOSS: it is damaged or missing. OUT_OF_RANGE: after the end
  // frame, where the file ends too.
  absl::StatusOr<Read> Next();
  uint64_t bytes() const { return size_; }
  uint64_t offset() const { return offset_; }

 private:
  BackupReader(std::unique_ptr<File> file, uint64_t size) : file_(std::move(file)), size_(size) {}
  absl::StatusOr<std::string> Take(size_t bytes, std::string_view what);

  std::unique_ptr<File> file_;
  const uint64_t size_;
  uint64_t offset_ = 0;
  uint32_t frames_ = 0;
  bool ended_ = false;
};

}  // namespace penstock

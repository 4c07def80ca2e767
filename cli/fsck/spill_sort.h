// SpillSort sorts rows of fixed size that need not fit into memory: runs of a bounded number are
// sorted in memory and written to a temporary file without a name, and merged while they are read.
// Not thread-safe.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <queue>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/status.h"

namespace penstock::cli {

template <typename Row>
class SpillSort {
  static_assert(std::is_trivially_copyable_v<Row>);

 public:
  // `dir`: where the file goes when there are more than `rows_in_memory`.
  explicit SpillSort(std::string dir, size_t rows_in_memory = 1 << 19)
      : dir_(std::move(dir)), limit_(rows_in_memory) {}
  ~SpillSort() {
    if (fd_ >= 0) close(fd_);
  }
  SpillSort(const SpillSort&) = delete;
  SpillSort& operator=(const SpillSort&) = delete;

  absl::Status Add(const Row& row) {
    rows_.push_back(row);
    ++count_;
    return rows_.size() < limit_ ? absl::OkStatus() : Spill();
  }
  uint64_t count() const { return count_; }

  // Ends the adding. Next() gives the rows in order, false after the last; Rewind() begins anew.
  absl::Status Sort() {
    std::sort(rows_.begin(), rows_.end());
    if (!runs_.empty() && !rows_.empty()) RETURN_IF_ERROR(Spill());
    return Rewind();
  }
  absl::Status Rewind() {
    at_ = 0;
    heads_ = {};
    for (size_t i = 0; i < runs_.size(); ++i) {
      runs_[i].next = runs_[i].first;
      runs_[i].buffer.clear();
      runs_[i].used = 0;
      RETURN_IF_ERROR(Refill(i));
    }
    return absl::OkStatus();
  }
  absl::StatusOr<bool> Next(Row& row) {
    if (runs_.empty()) {
      if (at_ == rows_.size()) return false;
      row = rows_[at_++];
      return true;
    }
    if (heads_.empty()) return false;
    const size_t run = heads_.top().run;
    row = heads_.top().row;
    heads_.pop();
    RETURN_IF_ERROR(Refill(run));
    return true;
  }

 private:
  static constexpr size_t kBufferedRows = 512;
  struct Run {
    uint64_t first = 0, end = 0, next = 0;  // rows of the file
    std::vector<Row> buffer;
    size_t used = 0;
  };
  struct Head {
    Row row;
    size_t run = 0;
    bool operator<(const Head& other) const { return other.row < row; }  // the least on top
  };

  absl::Status Open() {
    if (fd_ >= 0) return absl::OkStatus();
    fd_ = open(dir_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd_ < 0) {
      return PosixError(errno, "make a temporary file in " + dir_ + " (--temp-dir names another)");
    }
    return absl::OkStatus();
  }
  absl::Status Spill() {
    RETURN_IF_ERROR(Open());
    std::sort(rows_.begin(), rows_.end());
    Run run;
    run.first = spilled_;
    run.end = spilled_ + rows_.size();
    const char* bytes = reinterpret_cast<const char*>(rows_.data());
    size_t left = rows_.size() * sizeof(Row);
    auto offset = static_cast<off_t>(spilled_ * sizeof(Row));
    while (left > 0) {
      const ssize_t n = pwrite(fd_, bytes, left, offset);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return PosixError(n < 0 ? errno : EIO, "write a temporary file in " + dir_);
      bytes += n;
      offset += n;
      left -= static_cast<size_t>(n);
    }
    spilled_ = run.end;
    runs_.push_back(std::move(run));
    rows_.clear();
    return absl::OkStatus();
  }
  // Puts the run's next row among the heads.
  absl::Status Refill(size_t index) {
    Run& run = runs_[index];
    if (run.used == run.buffer.size()) {
      const size_t wanted = std::min<uint64_t>(kBufferedRows, run.end - run.next);
      if (wanted == 0) return absl::OkStatus();
      run.buffer.resize(wanted);
      run.used = 0;
      const size_t bytes = wanted * sizeof(Row);
      const ssize_t n =
          pread(fd_, run.buffer.data(), bytes, static_cast<off_t>(run.next * sizeof(Row)));
      if (n != static_cast<ssize_t>(bytes)) {
        return PosixError(n < 0 ? errno : EIO, "read a temporary file in " + dir_);
      }
      run.next += wanted;
    }
    heads_.push({run.buffer[run.used++], index});
    return absl::OkStatus();
  }

  const std::string dir_;
  const size_t limit_;
  std::vector<Row> rows_;  // not spilled yet; all of them when there are no runs
  std::vector<Run> runs_;
  std::priority_queue<Head> heads_;
  size_t at_ = 0;
  uint64_t count_ = 0;
  uint64_t spilled_ = 0;
  int fd_ = -1;
};

// Reads a sorted SpillSort along a growing key: for merging.
template <typename Row>
class SortedCursor {
 public:
  explicit SortedCursor(SpillSort<Row>* rows) : rows_(rows) {}
  absl::Status Start() {
    RETURN_IF_ERROR(rows_->Rewind());
    return Step();
  }
  bool valid() const { return valid_; }
  const Row& row() const { return row_; }
  absl::Status Step() {
    ASSIGN_OR_RETURN(valid_, rows_->Next(row_));
    return absl::OkStatus();
  }

 private:
  SpillSort<Row>* const rows_;
  Row row_{};
  bool valid_ = false;
};

}  // namespace penstock::cli

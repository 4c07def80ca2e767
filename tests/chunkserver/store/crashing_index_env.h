// A RocksDB environment over the real file system that forgets, at a power cut, what was not
// synced, and stops writing when the shared CrashSwitch says so. Syncs cost nothing: only their
// promise is kept.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "tests/testing/faulty_file_system.h"

namespace penstock::testing {

class CrashingIndexFileSystem : public rocksdb::FileSystemWrapper {
 public:
  explicit CrashingIndexFileSystem(CrashSwitch* crash)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), crash_(crash) {}
  const char* Name() const override { return "CrashingIndexFileSystem"; }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& name,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                        rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;

  // Cuts every file back to what was synced and a part of the rest, random or `arrives_percent`;
  // removes files whose names were not synced.
  void PowerCut(std::mt19937_64& random, std::optional<int> arrives_percent = std::nullopt);

  // The disk cannot read any of the table files.
  void set_fail_table_reads(bool fail) { fail_table_reads_ = fail; }
  bool fail_table_reads() const { return fail_table_reads_; }
  CrashSwitch* crash() const { return crash_; }
  void Grew(const std::string& name, uint64_t size);
  void Synced(const std::string& name);
  void DirectorySynced(const std::string& directory);

 private:
  struct Tracked {
    uint64_t size = 0;
    uint64_t synced = 0;
    bool named = false;  // its directory was synced since it was made
  };
  CrashSwitch* const crash_;
  std::atomic<bool> fail_table_reads_{false};
  absl::Mutex mu_;
  std::map<std::string, Tracked> files_ ABSL_GUARDED_BY(mu_);
  // What a name stood for before a rename onto it that was not synced yet; nothing: no file.
  std::map<std::string, std::optional<std::string>> replaced_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::testing

// FileWriter and FileReader over in-memory servers, with one file open.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "client/file_reader.h"
#include "client/file_writer.h"
#include "tests/client/fake_chunks.h"
#include "tests/client/fake_meta.h"

namespace penstock::client {

inline constexpr uint64_t kChunk = 1 << FakeMeta::kChunkLog2;

struct FileFixture {
  explicit FileFixture(uint64_t dirty_limit = 64 << 20) {
    options.dirty_limit_bytes = dirty_limit;
    options.io_timeout = absl::Seconds(10);
    writer = std::make_unique<FileWriter>(
        &meta, &chunks, [this] { return session; }, options);
    writer->Start();
    inode = std::make_shared<Inode>(InodeNumber(5));
    const wire::Entry entry = meta.MakeFile(5);
    absl::MutexLock lock(&inode->mu);
    inode->Absorb(entry);
  }
  absl::Status Write(uint64_t offset, std::string_view data) {
    return writer->Write(inode, offset, data, op);
  }
  absl::Status Flush(FlushMode mode = FlushMode::kPublish) {
    return writer->Flush(inode, mode, op);
  }
  std::string Read(uint64_t offset, size_t n) {
    std::string into(n, '?');
    auto got = reader.Read(inode, offset, absl::MakeSpan(into), op);
    REQUIRE(got.ok());
    into.resize(*got);
    return into;
  }
  absl::Status SetSize(uint64_t size) {
    wire::SetattrRequest request;
    request.set_ino(5);
    request.set_fields(wire::SETATTR_SIZE);
    request.set_size(size);
    return writer->SetSize(inode, request, op).status();
  }
  uint64_t size() {
    absl::MutexLock lock(&inode->mu);
    return inode->size();
  }
  FakeMeta meta;
  FakeChunks chunks;
  SessionId session{77};
  FileWriterOptions options;
  OpContext op;
  std::unique_ptr<FileWriter> writer;
  FileReader reader{&meta, &chunks};
  std::shared_ptr<Inode> inode;
};

}  // namespace penstock::client

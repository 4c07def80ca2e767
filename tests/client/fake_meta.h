// The metaserver in memory, as MetaApi, as far as the client's data path needs it: records of
// files, publish with its conditions, truncation, listings. Thread-safe.
#pragma once

#include <absl/synchronization/mutex.h>

#include <map>
#include <string>
#include <vector>

#include "client/meta_api.h"
#include "common/status.h"

namespace penstock::client {

class FakeMeta : public MetaApi {
 public:
  static constexpr uint32_t kChunkLog2 = 16;  // 64 KiB
  static constexpr int kNamesAPage = 5;       // of a listing

  wire::Entry MakeFile(uint64_t ino) {
    absl::MutexLock lock(&mu);
    wire::Entry& e = files[ino];
    e.mutable_attr()->set_ino(ino);
    e.mutable_attr()->set_mode(0100644);
    e.mutable_attr()->set_nlink(1);
    e.mutable_attr()->set_change(1);
    e.mutable_attr()->set_data_version(1);
    e.set_is_inline(true);
    GiveContent(&e);
    return e;
  }
  wire::Entry File(uint64_t ino) {
    absl::MutexLock lock(&mu);
    return files[ino];
  }
  // As another mount would.
  void Change(uint64_t ino, const std::function<void(wire::Entry&)>& change) {
    absl::MutexLock lock(&mu);
    change(files[ino]);
    Touch(&files[ino]);
  }
  int calls(wire::Method method) {
    absl::MutexLock lock(&mu);
    return counted[method];
  }

  absl::Mutex mu;
  std::map<uint64_t, wire::Entry> files;
  std::vector<std::string> names;  // of the one directory, sorted
  std::map<wire::Method, int> counted;
  uint64_t next_content = 1000;
  std::map<uint64_t, int64_t> allocated;  // the sum of what was told, by inode
  absl::Status read_time_error;           // of SETATTR_ATIME_READ
  wire::PublishRequest last_publish;
  absl::Status publish_error;
  SessionId session;  // valid: calls for another one fail

 protected:
  absl::Status Send(Kind kind, google::protobuf::Message* request, wire::MetaContext*,
                    google::protobuf::Message* response, const OpContext& op) override {
    absl::MutexLock lock(&mu);
    if (session.valid() && op.session.valid() && op.session != session) {
      return WithReason(PosixError(EIO, "the session was lost"), Reason::kSessionUnknown);
    }
    ++counted[kind.method];
    switch (kind.method) {
      case wire::METHOD_GETATTR:
        *As<wire::EntryResponse>(response).mutable_entry() =
            files[As<wire::GetattrRequest>(request).ino()];
        return absl::OkStatus();
      case wire::METHOD_OPEN:
        *As<wire::EntryResponse>(response).mutable_entry() =
            files[As<wire::OpenRequest>(request).ino()];
        return absl::OkStatus();
      case wire::METHOD_PUBLISH:
        return Publish(As<wire::PublishRequest>(request), &As<wire::PublishResponse>(response));
      case wire::METHOD_SETATTR:
        return Setattr(As<wire::SetattrRequest>(request), &As<wire::SetattrResponse>(response));
      case wire::METHOD_TRUNCATE_DONE: {
        const auto& r = As<wire::TruncateDoneRequest>(request);
        Allocate(&files[r.ino()], r.allocated_delta());
        *As<wire::TruncateDoneResponse>(response).mutable_entry() = files[r.ino()];
        return absl::OkStatus();
      }
      case wire::METHOD_READDIR:
        return Readdir(As<wire::ReaddirRequest>(request), &As<wire::ReaddirResponse>(response));
      case wire::METHOD_SYNC_METADATA:
        return absl::OkStatus();
      case wire::METHOD_LOOKUP:  // nothing has a name here
      case wire::METHOD_RENAME:
        return absl::OkStatus();
      default:
        return PosixError(ENOSYS, "not in the fake");
    }
  }

 private:
  template <typename T>
  static T& As(google::protobuf::Message* message) {
    return static_cast<T&>(*message);
  }
  void GiveContent(wire::Entry* e) {
    e->mutable_layout()->set_content_id(next_content++);
    e->mutable_layout()->set_chunk_size_log2(kChunkLog2);
    e->mutable_layout()->set_storage_class(1);
  }
  static void Touch(wire::Entry* e) {
    e->mutable_attr()->set_data_version(e->attr().data_version() + 1);
    e->mutable_attr()->set_change(e->attr().change() + 1);
  }
  void Allocate(wire::Entry* e, int64_t delta) {
    int64_t& sum = allocated[e->attr().ino()];
    sum += delta;
    e->mutable_attr()->set_blocks(e->is_inline() ? (e->attr().size() + 511) / 512
                                                 : static_cast<uint64_t>(sum + 511) / 512);
  }
  absl::Status Publish(const wire::PublishRequest& r, wire::PublishResponse* response) {
    if (!publish_error.ok()) return publish_error;
    last_publish = r;
    wire::Entry& e = files[r.ino()];
    auto dropped = [](const char* why) {
      return WithReason(absl::AbortedError(why), Reason::kInlineDropped);
    };
    if (!r.set_inline() && r.content_id() != e.layout().content_id()) {
      return WithReason(PosixError(ESTALE, "content"), Reason::kContentChanged);
    }
    if (r.set_inline() || r.drop_inline()) {
      if (!e.is_inline()) return dropped("not inline");
      if (r.expected_data_version() != e.attr().data_version()) return dropped("version");
    }
    if (r.set_inline()) {
      e.set_inline_data(r.inline_data());
    } else {
      if (e.is_inline() && !r.drop_inline()) return dropped("still inline");
      e.set_is_inline(false);
      e.clear_inline_data();
    }
    e.mutable_attr()->set_size(std::max(e.attr().size(), r.size_at_least()));
    Allocate(&e, r.allocated_delta());
    Touch(&e);
    *response->mutable_entry() = e;
    return absl::OkStatus();
  }
  absl::Status Setattr(const wire::SetattrRequest& r, wire::SetattrResponse* response) {
    wire::Entry& e = files[r.ino()];
    if (r.fields() & wire::SETATTR_ATIME_READ) {
      if (!read_time_error.ok()) return read_time_error;
      *e.mutable_attr()->mutable_atime() = r.atime();
      e.mutable_attr()->set_change(e.attr().change() + 1);
    }
    if (r.fields() & wire::SETATTR_SIZE) {
      if (r.size() == 0 && (e.attr().size() != 0 || !e.is_inline())) {
        GiveContent(&e);
        allocated[r.ino()] = 0;
        e.mutable_attr()->set_blocks(0);
        e.set_is_inline(true);
        e.clear_inline_data();
      } else if (e.is_inline() && r.size() <= 4096) {
        e.mutable_inline_data()->resize(r.size(), '\0');
      } else if (e.is_inline()) {
        if (!e.inline_data().empty()) {
          return WithReason(absl::AbortedError("inline"), Reason::kInlineDropped);
        }
        e.set_is_inline(false);
      } else if (r.size() < e.attr().size()) {
        response->set_truncate_intent(7);
        response->set_truncate_old_size(e.attr().size());
        *response->mutable_truncate_layout() = e.layout();
      }
      e.mutable_attr()->set_size(r.size());
      Touch(&e);
    }
    *response->mutable_entry() = e;
    return absl::OkStatus();
  }
  absl::Status Readdir(const wire::ReaddirRequest& r, wire::ReaddirResponse* response) {
    response->set_parent(1);
    response->set_end(true);
    for (const std::string& name : names) {
      if (name <= r.start_after()) continue;
      if (static_cast<uint32_t>(response->entries_size()) ==
          std::min<uint32_t>(r.limit(), kNamesAPage)) {
        response->set_end(false);
        break;
      }
      wire::DirectoryEntry* entry = response->add_entries();
      entry->set_name(name);
      entry->set_ino(100 + name.size());
      entry->set_type(0100000);
    }
    return absl::OkStatus();
  }
};

}  // namespace penstock::client

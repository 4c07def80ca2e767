#include "client/fuse/request.h"

#include <cerrno>
#include <memory>
#include <vector>

#include "common/status.h"

namespace penstock::client {
namespace {

// An interrupt a thread, made anew after it fired: an eventfd a request would cost two system
// calls.
net::Interrupt* ThreadInterrupt() {
  thread_local std::unique_ptr<net::Interrupt> interrupt;
  if (interrupt == nullptr || interrupt->fired()) interrupt = std::make_unique<net::Interrupt>();
  return interrupt.get();
}

}  // namespace

Request::Request(fuse_req_t req)
    : req_(req),
      mount_(static_cast<const MountContext*>(fuse_req_userdata(req))),
      timer_(mount_->times->Of(DeviceIo::Current().opcode)) {
  const fuse_ctx* caller = fuse_req_ctx(req);
  op_.credentials.set_uid(caller->uid);
  op_.credentials.set_gid(caller->gid);
  op_.umask = caller->umask & 0777;
  op_.thread = static_cast<uint64_t>(caller->pid);
  interrupt_ = ThreadInterrupt();
  op_.interrupt = interrupt_;
  const CurrentRequest current = DeviceIo::Current();
  repeatable_.number = current.number;
  repeatable_.again = current.again;
  op_.request = &repeatable_;
  fuse_req_interrupt_func(req, OnInterrupt, this);
}

// On another thread, or within fuse_req_interrupt_func when it came before.
void Request::OnInterrupt(fuse_req_t, void* self) {
  Request* request = static_cast<Request*>(self);
  request->interrupted_ = true;
  request->mount_->interrupts->Interrupted(request->op_.thread, request->interrupt_);
}

Request::~Request() {
  if (!finished_) fuse_reply_err(Finish(), EIO);
}

absl::StatusOr<FileHandle*> Request::File(const fuse_file_info* fi) const {
  return mount_->handles->File(fi->fh, op_);
}

absl::StatusOr<DirectoryReader*> Request::Directory(const fuse_file_info* fi) const {
  return mount_->handles->Directory(fi->fh);
}

bool Request::NeedsGroups(mode_t mode) const {
  return op_.credentials.uid() != 0 && (mode & S_ISGID) != 0 && !S_ISDIR(mode);
}

bool Request::AddGroups() {
  if (op_.credentials.uid() == 0 || op_.credentials.groups_size() > 0) return false;
  std::vector<gid_t> groups(64);
  int n = fuse_req_getgroups(req_, static_cast<int>(groups.size()), groups.data());
  if (n > static_cast<int>(groups.size())) {
    groups.resize(static_cast<size_t>(n));
    n = fuse_req_getgroups(req_, n, groups.data());
  }
  for (int i = 0; i < n && i < static_cast<int>(groups.size()); ++i) {
    op_.credentials.add_groups(groups[static_cast<size_t>(i)]);
  }
  return op_.credentials.groups_size() > 0;
}

absl::Status Request::BeforeChange(const FileHandle& handle) {
  if (handle.append) RETURN_IF_ERROR(fs().ClearCapability(handle, op_));
  if (op_.credentials.uid() == 0 || !fs().HasSetIds(handle)) return absl::OkStatus();
  AddGroups();
  return fs().ClearSetIds(handle, op_);
}

void Request::EndWithCaller() {
  ends_with_caller_ = true;
  mount_->interrupts->Watch(op_.thread, interrupt_);
}

fuse_req_t Request::Finish() {
  INVARIANT(!finished_);
  finished_ = true;
  // After this libfuse calls OnInterrupt no more for it, so the thread may use the interrupt again.
  fuse_req_interrupt_func(req_, nullptr, nullptr);
  if (interrupted_ || ends_with_caller_) mount_->interrupts->Forget(interrupt_);
  return req_;
}

void Request::Reply(const absl::Status& status) { fuse_reply_err(Finish(), ToErrno(status)); }

void Request::Reply(const absl::StatusOr<wire::Entry>& entry) {
  if (!entry.ok()) return Reply(entry.status());
  ReplyEntry(*entry, /*name_cached=*/false);
}

void Request::Reply(const absl::StatusOr<Looked>& looked) {
  if (!looked.ok()) return Reply(looked.status());
  const bool absent = looked->entry.attr().ino() == 0;
  if (absent && !(mount_->memory->NamesFor(looked->name_cached) > absl::ZeroDuration())) {
    return Reply(PosixError(ENOENT, "no such name"));
  }
  ReplyEntry(looked->entry, looked->name_cached);
}

void Request::ReplyEntry(const wire::Entry& entry, bool name_cached) {
  const fuse_entry_param param = ToEntryParam(*mount_, entry, name_cached);
  fuse_reply_entry(Finish(), &param);
}

void Request::ReplyAttr(const wire::Entry& entry, absl::Duration kept_for) {
  const struct stat st = ToStat(entry.attr());
  fuse_reply_attr(Finish(), &st, absl::ToDoubleSeconds(kept_for));
}

void Request::ReplyData(std::string_view data) {
  fuse_reply_buf(Finish(), data.data(), data.size());
}

}  // namespace penstock::client

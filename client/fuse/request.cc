#include "client/fuse/request.h"

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
    : req_(req), mount_(static_cast<const MountContext*>(fuse_req_userdata(req))) {
  const fuse_ctx* caller = fuse_req_ctx(req);
  op_.credentials.set_uid(caller->uid);
  op_.credentials.set_gid(caller->gid);
  op_.thread = static_cast<uint64_t>(caller->pid);
  interrupt_ = ThreadInterrupt();
  op_.interrupt = interrupt_;
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

void Request::AddGroups() {
  std::vector<gid_t> groups(64);
  int n = fuse_req_getgroups(req_, static_cast<int>(groups.size()), groups.data());
  if (n > static_cast<int>(groups.size())) {
    groups.resize(static_cast<size_t>(n));
    n = fuse_req_getgroups(req_, n, groups.data());
  }
  for (int i = 0; i < n && i < static_cast<int>(groups.size()); ++i) {
    op_.credentials.add_groups(groups[static_cast<size_t>(i)]);
  }
}

void Request::EndWithCaller() {
  ends_with_caller_ = true;
  mount_->interrupts->Closing(op_.thread, interrupt_);
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
  const fuse_entry_param param = ToEntryParam(*mount_, *entry);
  fuse_reply_entry(Finish(), &param);
}

void Request::ReplyAttr(const absl::StatusOr<wire::Entry>& entry) {
  if (!entry.ok()) return Reply(entry.status());
  const struct stat st = ToStat(entry->attr());
  fuse_reply_attr(Finish(), &st, AttrTimeout(*mount_, *entry));
}

void Request::ReplyData(std::string_view data) {
  fuse_reply_buf(Finish(), data.data(), data.size());
}

}  // namespace penstock::client

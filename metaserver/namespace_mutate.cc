// The verbs Prepare, Recall and Apply.
#include <google/protobuf/descriptor.h>

#include <absl/synchronization/notification.h>

#include <cerrno>

#include "common/status.h"
#include "metaserver/namespace.h"
#include "metaserver/store/keys.h"

namespace penstock::metaserver {
namespace {

// Of a change that others keep asking about: from here on it is applied first and told after.
constexpr int kMostRounds = 6;

// Every reply with an entry carries the log index of the state it shows. `also`: for each entry.
template <typename Also>
void Stamp(google::protobuf::Message& response, uint64_t log_index, Also also) {
  for (const char* field : {"entry", "removed", "moved", "replaced"}) {
    const auto* descriptor = response.GetDescriptor()->FindFieldByName(field);
    if (descriptor == nullptr) continue;
    if (!response.GetReflection()->HasField(response, descriptor)) continue;
    auto* entry = response.GetReflection()->MutableMessage(&response, descriptor);
    auto* typed = dynamic_cast<wire::Entry*>(entry);
    if (typed == nullptr) continue;
    typed->set_log_index(log_index);
    also(*typed);
  }
  if (auto* empty = dynamic_cast<wire::EmptyResponse*>(&response)) empty->set_log_index(log_index);
}

// What a repeat gets. The inline content of a publish is in the inode record of the same batch: it
// is not written twice (Replay reads it from there).
std::string RecordOf(google::protobuf::Message& response) {
  auto* publish = dynamic_cast<wire::PublishResponse*>(&response);
  if (publish == nullptr) return response.SerializeAsString();
  std::string data;
  data.swap(*publish->mutable_entry()->mutable_inline_data());
  std::string record = publish->SerializeAsString();
  data.swap(*publish->mutable_entry()->mutable_inline_data());
  return record;
}

}  // namespace

struct Namespace::Run {
  explicit Run(const wire::MetaContext* of)
      : context(of), data_change(SessionId(of->session_id())) {}

  const wire::MetaContext* const context;
  absl::AnyInvocable<absl::Status(Mutation&)> prepare;
  google::protobuf::Message* response = nullptr;  // nullptr: of the metaserver's own
  Resume resume;
  absl::AnyInvocable<void(absl::Status) &&> done;
  LeaseChange change;
  DataChange data_change;
  bool opens = false;  // it has been looked whether it may see what it opens
  int rounds = 0;      // of telling others
  std::vector<Recall> late;
  bool applied = false;
  bool recorded = false;
};

// With the mutation's locks held: whatever others hold is looked for after it was marked.
absl::StatusOr<Namespace::Waiting> Namespace::FindWaiting(Run& run, Mutation& mutation) {
  const SessionId self(run.context->session_id());
  Waiting waiting;
  waiting.self = self;
  waiting.not_shared = mutation.not_shared();
  ASSIGN_OR_RETURN(const Touched touched, mutation.WhatIsTouched());
  const auto& changing = run.context->changing();
  waiting.recalls = leases_.Begin(run.change, touched, self,
                                  absl::MakeConstSpan(changing.data(), changing.size()));
  for (const Recall& recall : waiting.recalls) {
    for (const Touched::Record& record : recall.records) {
      if (!record.data || recall.session == self) continue;
      data_changes_.Told(run.data_change, record.ino, recall.session);
    }
  }
  // Who has the file open has its bytes in memory, with or without a lease.
  for (const Touched::Record& record : touched.records) {
    if (!record.data) continue;
    data_changes_.NoteAsked(record.ino, self);
    for (const OpenElsewhere& other : sessions_->Others(record.ino, self)) {
      if (data_changes_.Tell(run.data_change, record.ino, other.session)) {
        waiting.recalls.push_back({other.session, {}, {record}});
      }
    }
  }
  if (!std::exchange(run.opens, true) && mutation.opens().valid() &&
      data_changes_.Knows(mutation.opens(), self)) {
    waiting.opens = mutation.opens();
  }
  // Who is asked for its record, or changes it, all the time would put this off for ever.
  if (run.rounds++ >= kMostRounds) {
    for (Recall& recall : waiting.recalls) run.late.push_back(std::move(recall));
    waiting.recalls.clear();
  }
  return waiting;
}

void Namespace::EndChange(Run& run) {
  leases_.End(run.change);
  data_changes_.End(run.data_change);
}

absl::Status Namespace::Apply(Run& run, Mutation& mutation) {
  const wire::MetaContext& context = *run.context;
  mutation.Finish();
  uint64_t index = log_->last_index();
  if (!mutation.empty()) {
    if (context.sequence() != 0 && run.response != nullptr) {
      mutation.Put(Family::kSession, SlotKey(SessionId(context.session_id()), context.slot()),
                   EncodeSlotResult({context.sequence(), RecordOf(*run.response)}));
      run.recorded = true;
    }
    auto committed = log_->Commit(std::move(mutation.batch()), Durability::kProcess);
    if (!committed.ok()) {
      run.recorded = false;
      return committed.status();
    }
    index = *committed;
  }
  mutation.RunOnApplied();
  leases_.Applied(run.change, SessionId(context.session_id()));
  leases_.End(run.change);
  if (run.response != nullptr) {
    // What another change is about to make wrong is not kept: who asked was told of that already.
    Stamp(*run.response, index, [this](wire::Entry& entry) {
      if (leases_.IsChanging(InodeNumber(entry.attr().ino()))) entry.set_leased_by(0);
    });
  }
  mutation.locks().Release();
  data_changes_.End(run.data_change);  // calls who waits: not under the locks
  return mutation.sync() ? log_->Sync() : absl::OkStatus();
}

absl::StatusOr<Namespace::Waiting> Namespace::Attempt(
    Run& run, absl::FunctionRef<absl::Status(Mutation&)> prepare) {
  const wire::MetaContext& context = *run.context;
  if (run.applied) return Waiting();
  if (stopping_) return absl::UnavailableError("the metaserver is being stopped");
  if (run.response != nullptr && !sessions_->AllBack()) {
    return absl::AbortedError("the metaserver was started anew and waits for its clients");
  }
  Mutation mutation({{store_, sessions_.get(), SessionId(context.session_id()), log_->last_index()},
                     &locks_,
                     &inode_ids_,
                     &content_ids_,
                     &dataset_,
                     options_.max_links,
                     clock_->Now(),
                     context.credentials(),
                     &shared_writes_,
                     context.hold_version()});
  RETURN_IF_ERROR(prepare(mutation));
  const bool of_client = run.response != nullptr && !mutation.empty();
  if (of_client && mutation.needs_room() && options_.room) RETURN_IF_ERROR(options_.room());
  ASSIGN_OR_RETURN(Waiting waiting, FindWaiting(run, mutation));
  if (!waiting.empty()) return waiting;
  RETURN_IF_ERROR(sessions_->BeginApply(context));
  RETURN_IF_ERROR(Apply(run, mutation));
  run.applied = true;
  waiting.recalls = std::move(run.late);
  if (!waiting.empty()) sessions_->EndApply(context);
  return waiting;
}

// For the metaserver's own changes, and for tests: waits for answers on the calling thread.
absl::Status Namespace::RunBlocking(Run& run, absl::FunctionRef<absl::Status(Mutation&)> prepare) {
  while (true) {
    auto waiting = Attempt(run, prepare);
    if (!waiting.ok() || waiting->empty()) {
      EndChange(run);
      return waiting.status();
    }
    absl::Notification answered;
    SendRecalls(run.data_change, *std::move(waiting), [&answered] { answered.Notify(); });
    answered.WaitForNotification();
  }
}

absl::Status Namespace::MutateUntyped(const wire::MetaContext& context,
                                      absl::FunctionRef<absl::Status(Mutation&)> prepare,
                                      google::protobuf::Message& response) {
  ASSIGN_OR_RETURN(const std::optional<std::string> first, sessions_->BeginMutation(context));
  if (first.has_value()) return Replay(context, *first, response);
  Run run(&context);
  run.response = &response;
  const absl::Status status = RunBlocking(run, prepare);
  sessions_->EndMutation(context, status, run.recorded);
  return status;
}

void Namespace::StartMutation(const wire::MetaContext& context,
                              absl::AnyInvocable<absl::Status(Mutation&)> prepare,
                              google::protobuf::Message& response, Resume resume,
                              absl::AnyInvocable<void(absl::Status) &&> done) {
  auto first = sessions_->BeginMutation(context);
  if (!first.ok()) return std::move(done)(first.status());
  if (first->has_value()) return std::move(done)(Replay(context, **first, response));
  auto run = std::make_shared<Run>(&context);
  run->prepare = std::move(prepare);
  run->response = &response;
  run->resume = std::move(resume);
  run->done = std::move(done);
  Continue(std::move(run));
}

void Namespace::Continue(std::shared_ptr<Run> run) {
  auto waiting = Attempt(*run, [&run](Mutation& mutation) { return run->prepare(mutation); });
  if (waiting.ok() && !waiting->empty()) {
    SendRecalls(run->data_change, *std::move(waiting),
                [this, run] { run->resume([this, run]() { Continue(run); }); });
    return;
  }
  EndChange(*run);
  sessions_->EndMutation(*run->context, waiting.status(), run->recorded);
  std::move(run->done)(waiting.status());
}

absl::Status Namespace::Replay(const wire::MetaContext& context, const std::string& recorded,
                               google::protobuf::Message& response) {
  if (!response.ParseFromString(recorded)) {
    return PosixError(EINVAL, "the slot's last request was of another kind");
  }
  // The first try may have been meant to be synced.
  RETURN_IF_ERROR(log_->Sync());
  if (auto* publish = dynamic_cast<wire::PublishResponse*>(&response)) {
    const wire::Entry& entry = publish->entry();
    if (entry.is_inline() && entry.inline_data().size() != entry.attr().size()) {
      RETURN_IF_ERROR(ReadUnchecked(context, [&](const ReadView& view) -> absl::Status {
        ASSIGN_OR_RETURN(const Inode inode, view.GetInode(InodeNumber(entry.attr().ino())));
        publish->clear_entry();
        view.FillEntry(inode, *publish->mutable_entry());
        return absl::OkStatus();
      }));
    }
  }
  Stamp(response, log_->last_index(), [](wire::Entry& entry) { entry.set_leased_by(0); });
  return absl::OkStatus();
}

absl::Status Namespace::MutateInternally(absl::FunctionRef<absl::Status(Mutation&)> operation) {
  const wire::MetaContext nobody;
  Run run(&nobody);
  return RunBlocking(run, operation);
}

}  // namespace penstock::metaserver

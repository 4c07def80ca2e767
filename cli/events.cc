// `penstock events`: what happened to the cluster, and with --follow what happens.
#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/clock.h>
#include <pthread.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <thread>

#include "cli/admin_client.h"
#include "cli/listing.h"
#include "cli/verbs.h"
#include "common/cluster_settings.h"
#include "common/program.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

constexpr uint32_t kUsualLimit = 50;
constexpr absl::Duration kTryAgainAfter = absl::Seconds(1);

struct EventOptions {
  ClusterOptions cluster;
  bool json = false;
  bool follow = false;
  std::string since;
  uint32_t limit = 0;
};

// "30m", "2d", or a time as RFC 3339 has it.
absl::StatusOr<absl::Time> ParseSince(const std::string& text) {
  absl::Duration ago;
  if (ParsePeriod(text, &ago)) return absl::Now() - ago;
  absl::Time time;
  std::string error;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, &error)) return time;
  return UsageError(
      absl::StrCat("--since takes a duration such as 30m or 2d, or a time such as "
                   "2026-01-31T08:00:00Z; not '",
                   text, "'"));
}

// Ends a stream at SIGINT, SIGTERM or SIGHUP. Signals must be blocked before any thread starts.
class StreamStop {
 public:
  StreamStop() : thread_([this] { Wait(); }) {}
  ~StreamStop() {
    pthread_kill(thread_.native_handle(), SIGINT);  // which the thread takes, nobody else
    thread_.join();
  }
  // The stream of the moment; null: none.
  void Watch(grpc::ClientContext* context) {
    absl::MutexLock lock(&mu_);
    context_ = context;
    if (stopped_ && context_ != nullptr) context_->TryCancel();
  }
  // False when it is to stop.
  bool Pause(absl::Duration time) {
    absl::MutexLock lock(&mu_);
    return !mu_.AwaitWithTimeout(absl::Condition(&stopped_), time);
  }

 private:
  void Wait() {
    WaitForStopSignal();
    absl::MutexLock lock(&mu_);
    stopped_ = true;
    if (context_ != nullptr) context_->TryCancel();
  }

  absl::Mutex mu_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::thread thread_;
};

void Print(const wire::ClusterEvent& event, bool json) {
  if (json) {
    std::printf("%s\n", ToJson(event).dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
  } else {
    std::fputs(EventLine(event).c_str(), stdout);
  }
}

// Until a signal, or until nobody reads any more.
absl::Status Follow(AdminClient& admin, uint64_t after, bool json) {
  StreamStop stop;
  bool said = false;
  do {
    grpc::ClientContext context;
    stop.Watch(&context);
    const absl::Status status =
        admin.FollowEvents(after, &context, [&](const wire::EventList& list) {
          if (list.last() != 0) after = list.last();
          for (const wire::ClusterEvent& event : list.events()) Print(event, json);
          said = false;
          if (std::fflush(stdout) != 0) context.TryCancel();
        });
    stop.Watch(nullptr);
    if (std::ferror(stdout) != 0) return absl::OkStatus();
    if (!status.ok() && !absl::IsUnavailable(status)) return status;
    if (!status.ok() && !said) {
      std::fprintf(stderr, "penstock: %s; trying on\n", std::string(status.message()).c_str());
      said = true;
    }
  } while (stop.Pause(kTryAgainAfter));
  return absl::OkStatus();
}

absl::Status ShowEvents(const EventOptions& options) {
  wire::ListEventsRequest request;
  request.set_limit(options.limit != 0 ? options.limit : (options.since.empty() ? kUsualLimit : 0));
  if (!options.since.empty()) {
    ASSIGN_OR_RETURN(const absl::Time since, ParseSince(options.since));
    request.set_since_us(absl::ToUnixMicros(since));
  }
  if (options.follow) BlockStopSignals();
  ASSIGN_OR_RETURN(FoundCluster cluster, FindCluster(options.cluster));
  ASSIGN_OR_RETURN(AdminClient admin, AdminClient::Connect(cluster));
  ASSIGN_OR_RETURN(wire::EventList list, admin.ListEvents(request));
  if (options.json && !options.follow) {
    PrintJson(ToJsonList(list.events()));
    return absl::OkStatus();
  }
  for (const wire::ClusterEvent& event : list.events()) Print(event, options.json);
  std::fflush(stdout);
  return options.follow ? Follow(admin, list.last(), options.json) : absl::OkStatus();
}

}  // namespace

void AddEvents(CLI::App& app, Program& program) {
  auto options = std::make_shared<EventOptions>();
  CLI::App* verb = app.add_subcommand("events", "what happened to the cluster, oldest first");
  AddClusterOptions(verb, options->cluster);
  verb->add_flag("--follow,-f", options->follow, "go on with what happens, until Ctrl-C");
  verb->add_option("--since", options->since, "not older than 30m, 2d, or 2026-01-31T08:00:00Z")
      ->type_name("TIME");
  verb->add_option("--limit,-n", options->limit,
                   absl::StrCat("the newest N; default: ", kUsualLimit, ", with --since all"))
      ->check(CLI::Range(1u, 1000000u))
      ->type_name("N");
  verb->add_flag("--json", options->json, "print a JSON list; with --follow an object a line");
  verb->callback([&program, options] { program.run = [options] { return ShowEvents(*options); }; });
}

}  // namespace penstock::cli

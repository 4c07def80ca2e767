// Events as a test looks at them: "kind: text", in order. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>

#include <string>
#include <vector>

#include "metaserver/events/event_sink.h"

namespace penstock::metaserver {

class RecordedEvents : public EventSink {
 public:
  void Add(Severity, std::string kind, std::string text) override {
    absl::MutexLock lock(&mu_);
    all_.push_back(absl::StrCat(kind, ": ", text));
  }
  // Those since the last call.
  std::vector<std::string> Take() {
    absl::MutexLock lock(&mu_);
    return std::exchange(all_, {});
  }
  // One text, for Contains().
  std::string TakeText() {
    std::string text;
    for (const std::string& event : Take()) absl::StrAppend(&text, event, "\n");
    return text;
  }

 private:
  absl::Mutex mu_;
  std::vector<std::string> all_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::metaserver

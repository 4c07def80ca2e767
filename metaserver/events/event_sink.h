// EventSink takes what happened to the cluster, for people: one plain line an event. Add() never
// waits for a disk and never fails, so it may be called with a lock held.
#pragma once

#include <cstdint>
#include <string>

namespace penstock::metaserver {

enum class Severity : uint8_t { kInfo = 1, kWarning = 2, kError = 3 };

class EventSink {
 public:
  virtual ~EventSink() = default;
  // `kind` is one of docs/operate/events.md.
  virtual void Add(Severity severity, std::string kind, std::string text) = 0;
};

// Forgets all.
class NoEvents : public EventSink {
 public:
  void Add(Severity, std::string, std::string) override {}
};

}  // namespace penstock::metaserver

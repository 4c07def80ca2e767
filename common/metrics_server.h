// MetricsServer answers GET http://HOST:PORT/metrics with what a process counts, in Prometheus'
// text format (https://prometheus.io/docs/instrumenting/exposition_formats/). Thread-safe.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/latency_histogram.h"

namespace penstock {

struct MetricSample {
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;
  LatencyHistogram::Snapshot histogram = {};  // instead of `value`, of kHistogram
};

struct Metric {
  enum class Kind { kCounter, kGauge, kHistogram };
  std::string name;  // penstock_..., the unit last; a counter's ends in _total
  std::string help;
  Kind kind = Kind::kGauge;
  std::vector<MetricSample> samples;

  static Metric Gauge(std::string name, std::string help, double value) {
    return {std::move(name), std::move(help), Kind::kGauge, {{{}, value, {}}}};
  }
  static Metric Counter(std::string name, std::string help, double value) {
    return {std::move(name), std::move(help), Kind::kCounter, {{{}, value, {}}}};
  }
  // One whose samples are added.
  static Metric Of(Kind kind, std::string name, std::string help) {
    return {std::move(name), std::move(help), kind, {}};
  }
  void Add(std::vector<std::pair<std::string, std::string>> labels, double value) {
    samples.push_back({std::move(labels), value, {}});
  }
  void Add(std::vector<std::pair<std::string, std::string>> labels,
           const LatencyHistogram& histogram) {
    samples.push_back({std::move(labels), 0, histogram.Take()});
  }
};

class MetricsServer {
 public:
  // Asked for each answer, from threads of the server; must be thread-safe.
  using Source = std::function<std::vector<Metric>()>;
  // `address` is HOST:PORT, an IPv6 host in brackets. INVALID_ARGUMENT: it is not that.
  // UNAVAILABLE: it cannot be listened on.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Listen(const std::string& address,
                                                               Source source);
  ~MetricsServer();  // waits for answers under way

 private:
  struct Listener;
  explicit MetricsServer(std::unique_ptr<Listener> listener);
  const std::unique_ptr<Listener> listener_;
};

// As MetricsServer::Listen wants it.
absl::Status CheckMetricsAddress(const std::string& address);

}  // namespace penstock

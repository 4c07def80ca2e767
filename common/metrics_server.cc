#include "common/metrics_server.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <prometheus/client_metric.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <exception>
#include <limits>

namespace penstock {
namespace {

constexpr size_t kThreads = 2;

prometheus::MetricType TypeOf(Metric::Kind kind) {
  switch (kind) {
    case Metric::Kind::kCounter:
      return prometheus::MetricType::Counter;
    case Metric::Kind::kGauge:
      return prometheus::MetricType::Gauge;
    case Metric::Kind::kHistogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

prometheus::ClientMetric::Histogram ToPrometheus(const LatencyHistogram::Snapshot& snapshot) {
  prometheus::ClientMetric::Histogram histogram;
  uint64_t count = 0;
  for (size_t i = 0; i < snapshot.counts.size(); ++i) {
    count += snapshot.counts[i];
    const bool last = i == LatencyHistogram::kBoundsSeconds.size();
    histogram.bucket.push_back({count, last ? std::numeric_limits<double>::infinity()
                                            : LatencyHistogram::kBoundsSeconds[i]});
  }
  histogram.sample_count = count;
  histogram.sample_sum = snapshot.sum_seconds;
  return histogram;
}

class SourceAdapter : public prometheus::Collectable {
 public:
  explicit SourceAdapter(MetricsServer::Source source) : source_(std::move(source)) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    std::vector<prometheus::MetricFamily> families;
    for (const Metric& metric : source_()) {
      prometheus::MetricFamily& family = families.emplace_back();
      family.name = metric.name;
      family.help = metric.help;
      family.type = TypeOf(metric.kind);
      for (const MetricSample& sample : metric.samples) {
        prometheus::ClientMetric& one = family.metric.emplace_back();
        for (const auto& [name, value] : sample.labels) one.label.push_back({name, value});
        switch (metric.kind) {
          case Metric::Kind::kCounter:
            one.counter.value = sample.value;
            break;
          case Metric::Kind::kGauge:
            one.gauge.value = sample.value;
            break;
          case Metric::Kind::kHistogram:
            one.histogram = ToPrometheus(sample.histogram);
            break;
        }
      }
    }
    return families;
  }

 private:
  const MetricsServer::Source source_;
};

}  // namespace

struct MetricsServer::Listener {
  // The exposer throws when it cannot listen.
  Listener(const std::string& address, Source source)
      : adapter(std::make_shared<SourceAdapter>(std::move(source))), exposer(address, kThreads) {
    exposer.RegisterCollectable(adapter);
  }
  const std::shared_ptr<prometheus::Collectable> adapter;
  prometheus::Exposer exposer;
};

absl::Status CheckMetricsAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  const bool good = colon != std::string::npos && colon > 0 &&
                    absl::SimpleAtoi(address.substr(colon + 1), &port) && port > 0 &&
                    port <= 65535 && address.find_first_of(", +") == std::string::npos;
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("'", address, "' is not HOST:PORT, such as 127.0.0.1:9410"));
}

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Listen(const std::string& address,
                                                                     Source source) {
  if (absl::Status good = CheckMetricsAddress(address); !good.ok()) return good;
  try {
    return std::unique_ptr<MetricsServer>(
        new MetricsServer(std::make_unique<Listener>(address, std::move(source))));
  } catch (const std::exception& error) {
    return absl::UnavailableError(
        absl::StrCat("metrics cannot be served at ", address, ": ", error.what()));
  }
}

MetricsServer::MetricsServer(std::unique_ptr<Listener> listener) : listener_(std::move(listener)) {}
MetricsServer::~MetricsServer() = default;

}  // namespace penstock

#include "common/metrics_server.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <prometheus/client_metric.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <exception>

namespace penstock {
namespace {

constexpr size_t kThreads = 2;

class SourceAdapter : public prometheus::Collectable {
 public:
  explicit SourceAdapter(MetricsServer::Source source) : source_(std::move(source)) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    std::vector<prometheus::MetricFamily> families;
    for (const Metric& metric : source_()) {
      const bool counter = metric.kind == Metric::Kind::kCounter;
      prometheus::MetricFamily& family = families.emplace_back();
      family.name = metric.name;
      family.help = metric.help;
      family.type = counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
      for (const MetricSample& sample : metric.samples) {
        prometheus::ClientMetric& one = family.metric.emplace_back();
        for (const auto& [name, value] : sample.labels) one.label.push_back({name, value});
        (counter ? one.counter.value : one.gauge.value) = sample.value;
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
  const std::shared_ptr<SourceAdapter> adapter;
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

#include "client/client_metrics.h"

#include <absl/strings/ascii.h>
#include <absl/strings/strip.h>

namespace penstock::client {
namespace {

std::string NameOf(int method) {
  absl::string_view name = wire::Method_Name(method);
  absl::ConsumePrefix(&name, "METHOD_");
  return absl::AsciiStrToLower(name);
}

Metric MetadataCalls(const MetaClient& meta) {
  Metric metric{"penstock_client_metadata_calls_total",
                "Requests to the metaserver by what they ask, tries included; heartbeats and "
                "events apart.",
                Metric::Kind::kCounter,
                {}};
  for (int method = wire::Method_MIN; method <= wire::Method_MAX; ++method) {
    const uint64_t calls =
        wire::Method_IsValid(method) ? meta.calls(static_cast<wire::Method>(method)) : 0;
    if (calls > 0) metric.samples.push_back({{{"call", NameOf(method)}}, double(calls)});
  }
  return metric;
}

Metric Single(std::string name, std::string help, Metric::Kind kind, double value) {
  return {std::move(name), std::move(help), kind, {{{}, value}}};
}

}  // namespace

std::vector<Metric> ClientMetrics(const MetaClient& meta, const EntryCache& cache,
                                  const FileSystem& fs, const ReadPace& pace) {
  constexpr auto kCounter = Metric::Kind::kCounter;
  constexpr auto kGauge = Metric::Kind::kGauge;
  const FileSystem::Counters& counted = fs.counters();
  const ReadPace::Counters hedged = pace.counters();
  return {
      MetadataCalls(meta),
      {"penstock_client_lookups_total",
       "Names that the kernel asked for, by who knew the answer: the cache or the metaserver.",
       kCounter,
       {{{{"from", "cache"}}, double(counted.lookups_cached.load())},
        {{{"from", "metaserver"}}, double(counted.lookups_asked.load())}}},
      Single("penstock_client_read_bytes_total", "Bytes of files that the kernel read.", kCounter,
             double(counted.read_bytes.load())),
      Single("penstock_client_written_bytes_total", "Bytes of files that the kernel wrote.",
             kCounter, double(counted.written_bytes.load())),
      {"penstock_client_hedged_reads_total",
       "Reads whose answer took so long that another copy was asked too, by which was faster.",
       kCounter,
       {{{{"faster", "first"}}, double(hedged.hedged - hedged.won)},
        {{{"faster", "other"}}, double(hedged.won)}}},
      Single("penstock_client_leases", "Leases held: directories and files with several names.",
             kGauge, double(cache.lease_count())),
      Single("penstock_client_cache_bytes", "Memory of cached names and attributes.", kGauge,
             double(cache.bytes())),
      Single("penstock_client_cache_valid_seconds",
             "How long the caches may be used without another heartbeat; 0: not at all.", kGauge,
             absl::ToDoubleSeconds(cache.ValidFor())),
  };
}

}  // namespace penstock::client

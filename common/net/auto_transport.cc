#include "common/net/auto_transport.h"

#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/clock.h"
#include "common/net/rdma_failure.h"
#include "common/status.h"

namespace penstock::net {
namespace {

constexpr char kRdma[] = "rdma";

bool IsRdma(const wire::Address& address) { return address.transport() == kRdma; }
bool IsTcp(const wire::Address& address) {
  return address.transport().empty() || address.transport() == "tcp";
}

absl::Duration Moment() { return SystemClock()->SinceBoot(); }

void LogFallback(const wire::Address& address, RdmaFailure failure, absl::string_view error) {
  SPDLOG_INFO("rdma not used peer={} reason={} error=\"{}\" fix=\"{}\"", PeerKey(address),
              RdmaFailureName(failure), std::string(error), RdmaFailureFix(failure));
}

}  // namespace

std::string PeerKey(const wire::Address& address) {
  const bool v6 = address.host().find(':') != std::string::npos;
  return absl::StrCat(v6 ? "[" : "", address.host(), v6 ? "]:" : ":", address.port());
}

AutoTransport::AutoTransport(TransportOptions options)
    : options_(options), choice_(options.rdma_retry) {}

std::string AutoTransport::name() const { return std::string(TransportModeName(options_.mode)); }

absl::StatusOr<std::unique_ptr<Link>> AutoTransport::Connect(const wire::Address& address,
                                                             const WaitLimit& limit) {
  if (IsRdma(address)) return rdma_.Connect(address, limit);
  return tcp_.Connect(address, limit);
}

absl::StatusOr<std::unique_ptr<Listener>> AutoTransport::Listen(const std::string& host,
                                                                uint16_t port) {
  return tcp_.Listen(host, port);
}

absl::StatusOr<std::unique_ptr<Listener>> AutoTransport::ListenBeside(const std::string& host,
                                                                      uint16_t port) {
  if (options_.mode == TransportMode::kTcp) return nullptr;
  auto listener = rdma_.Listen(host, port);
  // iWARP shares the ports of TCP.
  if (AttachedErrno(listener.status()) == EADDRINUSE) listener = rdma_.Listen(host, 0);
  if (listener.ok() || options_.mode == TransportMode::kRdma) return listener;
  const RdmaFailure failure = RdmaFailureOf(listener.status()).value_or(RdmaFailure::kNoDevice);
  SPDLOG_INFO("rdma not served reason={} error=\"{}\" fix=\"{}\"", RdmaFailureName(failure),
              std::string(listener.status().message()), RdmaFailureFix(failure));
  return nullptr;
}

std::vector<wire::Address> AutoTransport::Order(const std::vector<wire::Address>& addresses) {
  std::vector<wire::Address> order;
  if (options_.mode != TransportMode::kTcp) {
    for (const wire::Address& address : addresses) {
      if (!IsRdma(address)) continue;
      if (options_.mode == TransportMode::kRdma) {
        order.push_back(address);
      } else if (choice_.Try(PeerKey(address), Moment())) {
        order.push_back(address);
        break;  // the next of them is tried when this one has failed
      }
    }
  }
  if (options_.mode == TransportMode::kRdma) return order;
  std::copy_if(addresses.begin(), addresses.end(), std::back_inserter(order), IsTcp);
  return order;
}

WaitLimit AutoTransport::LimitFor(const wire::Address& address, const WaitLimit& limit) const {
  WaitLimit shorter = limit;
  if (IsRdma(address) && options_.mode == TransportMode::kAuto) {
    // Half of what is left at most: TCP needs some, too.
    shorter.deadline = Moment() + std::min(limit.Left() / 2, options_.rdma_timeout);
  }
  return shorter;
}

void AutoTransport::Outcome(const wire::Address& address, const absl::Status& opened) {
  if (!IsRdma(address)) return;
  const std::string peer = PeerKey(address);
  if (opened.ok()) return choice_.Worked(peer);
  if (absl::IsCancelled(opened)) return choice_.GaveUp(peer);
  const RdmaFailure failure = RdmaFailureOf(opened).value_or(
      absl::IsDeadlineExceeded(opened) ? RdmaFailure::kTimedOut : RdmaFailure::kRefused);
  if (choice_.Failed(peer, failure, Moment())) LogFallback(address, failure, opened.message());
}

void AutoTransport::OnBroken(const wire::Address& address) {
  if (!IsRdma(address)) return;
  if (choice_.Broke(PeerKey(address), Moment())) {
    LogFallback(address, RdmaFailure::kBroken, "connections break again and again");
  }
}

bool AutoTransport::ShouldReplace(const wire::Address& current,
                                  const std::vector<wire::Address>& addresses) const {
  if (options_.mode != TransportMode::kAuto || IsRdma(current)) return false;
  return std::any_of(addresses.begin(), addresses.end(), [&](const wire::Address& address) {
    return IsRdma(address) && choice_.WouldTry(PeerKey(address), Moment());
  });
}

std::string AutoTransport::WhyNotRdma(const std::vector<wire::Address>& addresses) const {
  if (options_.mode == TransportMode::kTcp) return "";
  bool any = false;
  for (const wire::Address& address : addresses) {
    if (!IsRdma(address)) continue;
    any = true;
    if (const auto why = choice_.WhyNot(PeerKey(address))) {
      return std::string(RdmaFailureName(*why));
    }
  }
  return any ? "" : std::string(RdmaFailureName(RdmaFailure::kPeerHasNone));
}

void AutoTransport::AddMetrics(std::vector<Metric>* metrics) const {
  Metric& failures = metrics->emplace_back(
      Metric::Of(Metric::Kind::kCounter, "penstock_rdma_failures_total",
                 "Attempts to use RDMA that failed, by reason; TCP was used instead."));
  for (RdmaFailure failure : kAllRdmaFailures) {
    failures.Add({{"reason", std::string(RdmaFailureName(failure))}},
                 static_cast<double>(choice_.failures(failure)));
  }
}

}  // namespace penstock::net

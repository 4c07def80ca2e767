// What drains and rebalancing look like, as JSON and as text.
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>

#include "cli/human.h"
#include "cli/listing.h"

namespace penstock::cli {

std::string ServiceOf(const wire::TargetInfo& target) {
  const uint32_t left = target.groups() + target.awaited_by();
  switch (target.target().state()) {
    case wire::TARGET_ONLINE:
      break;
    case wire::TARGET_OFFLINE:
      if (!target.draining()) return "away";
      return left == 0 ? "away, drained" : "away, draining";
    default:
      return StateName(target.target().state());
  }
  if (target.draining() && left == 0) return "drained";
  if (target.draining()) {
    const uint32_t all = std::max(target.drain_groups(), left);
    return absl::StrCat("draining ", 100 * uint64_t{all - left} / all, " %");
  }
  return target.groups_syncing() > 0 ? "syncing" : "in service";
}

Json ToJson(const wire::MoveShare& share) {
  return {{"from", share.from()},
          {"to", share.to()},
          {"groups", share.groups()},
          {"bytes", share.bytes()}};
}

std::string OutcomeName(wire::RebalanceOutcome outcome) {
  switch (outcome) {
    case wire::REBALANCE_DONE:
      return "done";
    case wire::REBALANCE_STOPPED:
      return "stopped";
    case wire::REBALANCE_GAVE_UP:
      return "gave up";
    default:
      return "";
  }
}

Json ToJson(const wire::RebalanceInfo& info) {
  return {{"running", info.running()},
          {"threshold_percent", info.threshold_permille() / 10.0},
          {"max_bytes_per_second", info.max_bytes_per_second()},
          {"unbalanced", info.unbalanced()},
          {"waits_for", info.waits_for()},
          {"groups_moving", info.moving()},
          {"groups_left", info.groups_left()},
          {"bytes_left", info.bytes_left()},
          {"moved_groups", info.moved_groups()},
          {"moved_bytes", info.moved_bytes()},
          {"used_most_percent", info.used_most_permille() / 10.0},
          {"used_least_percent", info.used_least_permille() / 10.0},
          {"started_s", info.started_s()},
          {"ended_s", info.ended_s()},
          {"ended", info.ended()},
          {"outcome", OutcomeName(info.outcome())}};
}

std::string RebalanceText(const wire::RebalanceInfo& info) {
  std::string text;
  const std::string moved = absl::StrCat(Counted(info.moved_groups(), "group"), ", about ",
                                         HumanBytes(info.moved_bytes()), ", moved");
  if (info.running()) {
    text = absl::StrCat("rebalancing: ", Counted(info.moving(), "group"), " on the way, ",
                        info.groups_left(), " more to move (about ", HumanBytes(info.bytes_left()),
                        "), ", moved, "\n");
    if (!info.waits_for().empty()) absl::StrAppend(&text, "it waits: ", info.waits_for(), "\n");
    if (info.max_bytes_per_second() > 0) {
      absl::StrAppend(&text, "at most ", HumanBytes(info.max_bytes_per_second()), "/s\n");
    }
  } else if (info.started_s() == 0) {
    text = "not running\n";
  } else {
    text = absl::StrCat("not running: the last one ended, ", info.ended(), "; ", moved, "\n");
  }
  absl::StrAppend(
      &text, absl::StrFormat("targets are %.1f %% to %.1f %% used, %s\n",
                             info.used_least_permille() / 10.0, info.used_most_permille() / 10.0,
                             info.unbalanced() ? "`penstock rebalance start` would "
                                                 "bring them nearer"
                             : info.running()  ? "and get nearer"
                                               : "and need no rebalancing"));
  return text;
}

std::string SharesText(const google::protobuf::RepeatedPtrField<wire::MoveShare>& shares) {
  std::string text;
  for (const wire::MoveShare& share : shares) {
    absl::StrAppend(&text, "  ", Counted(share.groups(), "group"), ", about ",
                    HumanBytes(share.bytes()), ", from target ", share.from(), " to ", share.to(),
                    "\n");
  }
  return text;
}

}  // namespace penstock::cli

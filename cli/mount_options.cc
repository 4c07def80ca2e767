#include "cli/mount_options.h"

#include <absl/container/flat_hash_set.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <optional>

#include "cli/paths.h"
#include "cli/verbs.h"
#include "common/metrics_server.h"
#include "common/status.h"
#include "common/text.h"

namespace penstock::cli {
namespace {

struct Option {
  absl::string_view name;
  std::optional<absl::string_view> value;
};

// Options of every file system that libfuse hands to the kernel.
bool IsKernelOption(absl::string_view name) {
  static const absl::flat_hash_set<absl::string_view> kNames = {
      "atime", "noatime", "dev",  "nodev", "suid",   "nosuid",
      "exec",  "noexec",  "sync", "async", "dirsync"};
  return kNames.contains(name);
}

// Those that mount(8), systemd and fstab's readers act on; they mean nothing to a file system.
bool IsForOthers(absl::string_view name) {
  static const absl::flat_hash_set<absl::string_view> kNames = {
      "defaults", "auto",   "noauto",  "nofail",   "_netdev",   "user",
      "nouser",   "users",  "nousers", "owner",    "group",     "nogroup",
      "comment",  "silent", "loud",    "lazytime", "nolazytime"};
  return kNames.contains(name) || absl::StartsWith(name, "x-") || absl::StartsWith(name, "X-");
}

absl::Status BadValue(const Option& option, absl::string_view expected) {
  return UsageError(
      absl::StrCat("-o ", option.name, "=", option.value.value_or(""), ": ", expected));
}

absl::Status SetDuration(const Option& option, absl::Duration* target) {
  const std::string text(option.value.value_or(""));
  double seconds = 0;
  absl::Duration duration;
  if (absl::SimpleAtod(text, &seconds)) {
    duration = absl::Seconds(seconds);
  } else if (!absl::ParseDuration(text, &duration)) {
    return BadValue(option, "a time such as 500ms, 30s or 5m is expected");
  }
  if (duration < absl::ZeroDuration() || duration > absl::Hours(24 * 365)) {
    return BadValue(option, "a time from 0 to a year is expected");
  }
  *target = duration;
  return absl::OkStatus();
}

absl::Status SetBytes(const Option& option, uint64_t* target) {
  absl::string_view text = option.value.value_or("");
  uint64_t unit = 1;
  for (auto [suffix, bytes] : {std::pair{"KiB", kKiB},
                               {"MiB", kMiB},
                               {"GiB", kGiB},
                               {"K", kKiB},
                               {"M", kMiB},
                               {"G", kGiB}}) {
    if (absl::EndsWith(text, suffix)) {
      text.remove_suffix(absl::string_view(suffix).size());
      unit = bytes;
      break;
    }
  }
  uint64_t number = 0;
  if (!absl::SimpleAtoi(text, &number) || number > (uint64_t{1} << 50) / unit ||
      number * unit < 16 * kMiB) {
    return BadValue(option, "a size of at least 16MiB is expected, such as 512MiB or 4GiB");
  }
  *target = number * unit;
  return absl::OkStatus();
}

absl::Status SetInt(const Option& option, int least, int most, int* target) {
  int number = 0;
  if (!absl::SimpleAtoi(option.value.value_or(""), &number) || number < least || number > most) {
    return BadValue(option, absl::StrCat("a number ", least, " .. ", most, " is expected"));
  }
  *target = number;
  return absl::OkStatus();
}

absl::Status SetAddress(const Option& option, std::string* target) {
  const std::string address(option.value.value_or(""));
  if (!CheckMetricsAddress(address).ok()) {
    return BadValue(option, "HOST:PORT is expected, such as 127.0.0.1:9410");
  }
  *target = address;
  return absl::OkStatus();
}

absl::Status SetText(const Option& option, bool is_path, std::string* target) {
  if (option.value.value_or("").empty()) return BadValue(option, "a value is expected");
  *target = is_path ? AbsolutePath(*option.value) : std::string(*option.value);
  return absl::OkStatus();
}

absl::Status SetTransport(const Option& option, net::TransportMode* target) {
  const auto mode = net::ParseTransportMode(ToStd(option.value.value_or("")));
  if (!mode.has_value()) return BadValue(option, "auto, rdma or tcp is expected");
  *target = *mode;
  return absl::OkStatus();
}

// nullopt: not one of ours that takes a value.
std::optional<absl::Status> ApplyValue(const Option& option, MountSettings& settings) {
  if (option.name == "key") return SetText(option, true, &settings.key_file);
  if (option.name == "io_timeout") return SetDuration(option, &settings.io_timeout);
  if (option.name == "hedge_after") {
    if (option.value == "off") {
      settings.hedge_after = absl::InfiniteDuration();
      return absl::OkStatus();
    }
    return SetDuration(option, &settings.hedge_after);
  }
  if (option.name == "transport") return SetTransport(option, &settings.transport.mode);
  if (option.name == "rdma_timeout") return SetDuration(option, &settings.transport.rdma_timeout);
  if (option.name == "rdma_retry") return SetDuration(option, &settings.transport.rdma_retry);
  if (option.name == "memory") return SetBytes(option, &settings.memory_bytes);
  if (option.name == "connections") return SetInt(option, 1, 64, &settings.max_connections);
  if (option.name == "read_ahead_kib") return SetInt(option, 0, 1 << 20, &settings.read_ahead_kib);
  if (option.name == "log_file") return SetText(option, true, &settings.log_file);
  if (option.name == "log_level") return SetText(option, false, &settings.log_level);
  if (option.name == "metrics") return SetAddress(option, &settings.metrics);
  if (option.name == "pid_file") return SetText(option, true, &settings.pid_file);
  return std::nullopt;
}

bool ApplySwitch(absl::string_view name, MountSettings& settings) {
  bool on = true;
  if (absl::ConsumePrefix(&name, "no_")) on = false;
  if (name == "allow_other") {
    settings.allow_other = on;
  } else if (name == "default_permissions") {
    settings.default_permissions = on;
  } else if (name == "sync_on_close") {
    settings.sync_on_close = on;
  } else if (on && (name == "ro" || name == "rw")) {
    settings.read_only = name == "ro";
  } else {
    return false;
  }
  return true;
}

// Rules of access times: the client follows them. libfuse tells the kernel of `noatime` only.
bool ApplyAtime(absl::string_view name, MountSettings& settings) {
  using client::AtimeRule;
  if (name == "noatime") {
    settings.atime = AtimeRule::kNever;
  } else if (name == "strictatime") {
    settings.atime = AtimeRule::kAlways;
  } else if (name == "atime" || name == "relatime" || name == "norelatime" ||
             name == "nostrictatime") {
    settings.atime = AtimeRule::kRelatime;  // Linux has no other when nothing is said
  } else if (name == "diratime" || name == "nodiratime") {
    settings.directory_atime = name == "diratime";
  } else {
    return false;
  }
  return true;
}

absl::Status ApplyOne(absl::string_view text, MountSettings& settings) {
  Option option;
  const size_t equals = text.find('=');
  option.name = text.substr(0, equals);
  if (equals != absl::string_view::npos) option.value = text.substr(equals + 1);
  if (IsForOthers(option.name)) return absl::OkStatus();
  if (std::optional<absl::Status> applied = ApplyValue(option, settings)) return *applied;
  if (!option.value.has_value()) {
    if (ApplySwitch(option.name, settings)) return absl::OkStatus();
    const bool atime = ApplyAtime(option.name, settings);
    if (IsKernelOption(option.name)) {
      settings.kernel_options.emplace_back(option.name);
      return absl::OkStatus();
    }
    if (atime) return absl::OkStatus();
  }
  return UsageError(absl::StrCat("unknown mount option '", text,
                                 "'; `penstock mount --help` lists those there are"));
}

}  // namespace

absl::Status ApplyMountOptions(absl::string_view options, MountSettings& settings) {
  for (absl::string_view text : absl::StrSplit(options, ',', absl::SkipEmpty())) {
    RETURN_IF_ERROR(ApplyOne(text, settings));
  }
  return absl::OkStatus();
}

MountSettings DefaultMountSettings(bool root) {
  MountSettings settings;
  settings.allow_other = root;
  if (root) settings.kernel_options = {"dev", "suid"};
  return settings;
}

std::string MountOptionsHelp() {
  return R"(Options of -o, comma-separated:
  key=FILE             the cluster key (else $PENSTOCK_KEY, the key of a cluster of `penstock up`
                       at that address, /etc/penstock/cluster.key)
  io_timeout=60s       how long I/O waits for a lost server before it gives EIO
  hedge_after=10ms     a read that waits for longer, and for longer than 99 of 100 do, is asked
                       of another copy as well; off: never
  sync_on_close        close() returns when the bytes are on the servers' disks
  memory=1GiB          most memory of the client
  connections=8        most connections to each server
  transport=auto       auto: RDMA where it works, else TCP; rdma; tcp
  rdma_timeout=500ms   auto: a connection that RDMA has not made by then is made over TCP
  rdma_retry=30s       auto: where RDMA failed, it is tried again after this time
  read_ahead_kib=8192  how far the kernel reads ahead (set as root)
  log_file=FILE        the client's log
  log_level=info       debug, info, warning or error
  pid_file=FILE        written while mounted
  metrics=HOST:PORT    serves Prometheus metrics at http://HOST:PORT/metrics
  allow_other          everybody may use the mount (root's default; no_allow_other turns it off)
  noatime              reads change no access times: saves a call for the first read of each file
  relatime strictatime nodiratime   which reads do (relatime is the default)
  ro rw nodev nosuid noexec dev suid exec sync ...   as every file system takes them
  _netdev nofail auto noauto user x-* ...   for fstab, accepted)";
}

}  // namespace penstock::cli

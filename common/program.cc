#include "common/program.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/strip.h>
#include <absl/time/time.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/random.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <fstream>

#include "common/status.h"
#include "common/units.h"

namespace penstock {
namespace {

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  return set;
}

struct Unit {
  absl::string_view suffix;
  uint64_t bytes;
};
// Longest first, so that "MiB" is not read as "B".
constexpr std::array<Unit, 9> kByteUnits = {{{"KiB", kKiB},
                                             {"MiB", kMiB},
                                             {"GiB", kGiB},
                                             {"TiB", kTiB},
                                             {"K", kKiB},
                                             {"M", kMiB},
                                             {"G", kGiB},
                                             {"T", kTiB},
                                             {"B", 1}}};

}  // namespace

bool ParseBytes(std::string_view size, uint64_t* bytes) {
  absl::string_view text = ToAbsl(size);
  uint64_t unit = 1;
  for (const Unit& candidate : kByteUnits) {
    if (absl::ConsumeSuffix(&text, candidate.suffix)) {
      unit = candidate.bytes;
      break;
    }
  }
  uint64_t number = 0;
  if (!absl::SimpleAtoi(text, &number) || number > UINT64_MAX / unit) return false;
  *bytes = number * unit;
  return true;
}

std::string FormatBytes(uint64_t bytes) {
  constexpr std::array<absl::string_view, 5> kNames = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < kNames.size()) {
    bytes /= 1024;
    ++unit;
  }
  return absl::StrCat(bytes, kNames[unit]);
}

void SetUpProgram(CLI::App& app, const std::string& name) {
  app.name(name);
  app.set_version_flag("--version", absl::StrCat(name, " ", PENSTOCK_VERSION));
  app.set_config("--config", "", "Read settings from FILE (`name = value`, a flag's long name)")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  // A misspelt setting is an error, as a misspelt flag is.
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.option_defaults()->always_capture_default();
  app.get_formatter()->column_width(34);
}

CLI::Option* AddDuration(CLI::App& app, const std::string& flag, absl::Duration& value,
                         const std::string& description) {
  auto* option = app.add_option_function<std::string>(
      flag,
      [&value, flag](const std::string& text) {
        absl::Duration parsed;
        if (!absl::ParseDuration(text, &parsed) || parsed < absl::ZeroDuration()) {
          throw CLI::ValidationError(flag, "not a duration, such as 500ms, 5s or 10m: " + text);
        }
        value = parsed;
      },
      description);
  return option->type_name("DURATION")->default_str(absl::FormatDuration(value));
}

CLI::Option* AddBytes(CLI::App& app, const std::string& flag, uint64_t& value,
                      const std::string& description) {
  auto* option = app.add_option_function<std::string>(
      flag,
      [&value, flag](const std::string& text) {
        if (!ParseBytes(text, &value)) {
          throw CLI::ValidationError(flag, "not a size, such as 4096, 64MiB or 1GiB: " + text);
        }
      },
      description);
  return option->type_name("SIZE")->default_str(FormatBytes(value));
}

void BlockStopSignals() {
  sigset_t set = StopSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

int WaitForStopSignal() {
  sigset_t set = StopSignals();
  int number = 0;
  while (sigwait(&set, &number) != 0) {
  }
  return number;
}

void NotifyReady(const std::string& status) {
  sd_notify(0, absl::StrCat("READY=1\nSTATUS=", status).c_str());
}

void NotifyStopping() { sd_notify(0, "STOPPING=1"); }

std::string MachineBootId() {
  std::ifstream in("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(in, id);
  return id;
}

std::string NewUuid() {
  std::array<unsigned char, 16> b{};
  ssize_t got;
  do {
    got = getrandom(b.data(), b.size(), 0);
  } while (got < 0 && errno == EINTR);
  INVARIANT(got == static_cast<ssize_t>(b.size()));
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  return absl::StrFormat("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                         b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11],
                         b[12], b[13], b[14], b[15]);
}

std::string HostName() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

}  // namespace penstock

// What every server's main() needs: flags that are also settings of a --config file (INI/TOML,
// `name = value`), a wait for SIGTERM/SIGINT, and systemd readiness.
#pragma once

#include <absl/time/time.h>
#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock {

// Adds --config FILE and --version, and makes `--help` show defaults. Every option added later is
// also a setting of that file, with the flag's long name.
void SetUpProgram(CLI::App& app, const std::string& name);
// Durations as "500ms", "5s", "10m"; sizes as "64MiB", "1GiB" or bytes. The default is shown.
CLI::Option* AddDuration(CLI::App& app, const std::string& flag, absl::Duration& value,
                         const std::string& description);
CLI::Option* AddBytes(CLI::App& app, const std::string& flag, uint64_t& value,
                      const std::string& description);

// "4096", "64K", "64KiB", "1GiB"; false when it is no size.
bool ParseBytes(std::string_view text, uint64_t* bytes);
// The shortest form that ParseBytes takes back unchanged: "1536MiB", "4097B".
std::string FormatBytes(uint64_t bytes);

// Blocks SIGTERM, SIGINT and SIGHUP in this thread and those it starts later (call it first in
// main), and ignores SIGPIPE.
void BlockStopSignals();
// Waits for one of them; returns its number.
int WaitForStopSignal();

// sd_notify; nothing happens without systemd.
void NotifyReady(const std::string& status);
void NotifyStopping();

// /proc/sys/kernel/random/boot_id.
std::string MachineBootId();
// A random (version 4) UUID, "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx".
std::string NewUuid();
std::string HostName();

}  // namespace penstock

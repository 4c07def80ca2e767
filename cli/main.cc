// The `penstock` command; called as mount.penstock it is mount(8)'s helper.
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/verbs.h"

int main(int argc, char** argv) {
  // gRPC explains failed connections on standard error in its own words; ours are enough.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  std::signal(SIGPIPE, SIG_IGN);
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  const std::string name = argc > 0 ? std::filesystem::path(argv[0]).filename() : "penstock";
  if (name == "mount.penstock" || name == "mount.fuse.penstock") {
    return penstock::cli::RunMountCommand(arguments);
  }
  return penstock::cli::RunCommand(arguments);
}

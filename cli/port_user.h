// Who listens on a port of this machine, for messages.
#pragma once

#include <cstdint>
#include <string>

namespace penstock::cli {

// "nginx (pid 123)"; empty when nobody does, or when only root may see who.
std::string PortUser(uint16_t port);

}  // namespace penstock::cli

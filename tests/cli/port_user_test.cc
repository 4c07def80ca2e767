#include "cli/port_user.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "cli/servers.h"

namespace penstock::cli {

TEST_CASE("who listens on a port is named", "[cli][port_user]") {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(listen(fd, 1) == 0);
  REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const uint16_t port = ntohs(address.sin_port);

  const std::string pid = std::to_string(getpid());
  REQUIRE_THAT(PortUser(port), Catch::Contains("(pid " + pid + ")"));
  const std::string message(CheckPortFree("127.0.0.1", port).message());
  REQUIRE_THAT(message, Catch::Contains(std::to_string(port)) && Catch::Contains(pid));
  close(fd);
  REQUIRE(PortUser(port).empty());
  REQUIRE(CheckPortFree("127.0.0.1", port).ok());
}

}  // namespace penstock::cli

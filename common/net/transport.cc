#include "common/net/transport.h"

#include <algorithm>

namespace penstock::net {

absl::StatusOr<std::unique_ptr<Listener>> Transport::ListenBeside(const std::string&, uint16_t) {
  return nullptr;
}

std::vector<wire::Address> Transport::Order(const std::vector<wire::Address>& addresses) {
  std::vector<wire::Address> order;
  std::copy_if(addresses.begin(), addresses.end(), std::back_inserter(order),
               [own = name()](const wire::Address& address) {
                 return address.transport().empty() || address.transport() == own;
               });
  return order;
}

}  // namespace penstock::net

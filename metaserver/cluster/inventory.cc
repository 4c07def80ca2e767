#include "metaserver/cluster/inventory.h"

#include <absl/strings/str_cat.h>

namespace penstock::metaserver {

bool AllRemoved(const Inventory& inventory, ServerId server) {
  bool any = false;
  for (const auto& [id, target] : inventory.targets) {
    if (target.server() != server) continue;
    if (!target.record.removed()) return false;
    any = true;
  }
  return any;
}

std::string Describe(const ServerEntry& server) {
  const wire::MapServer& map = server.record.server();
  std::string text = absl::StrCat("server ", map.server_id(), " (", map.hostname());
  if (!map.addresses().empty()) {
    absl::StrAppend(&text, ", ", map.addresses(0).host(), ":", map.addresses(0).port());
  }
  return text + ")";
}

std::string Describe(const Inventory& inventory, const TargetEntry& target) {
  std::string text =
      absl::StrCat("target ", target.id().value(), " (", target.record.target().path());
  auto server = inventory.servers.find(target.server());
  if (server != inventory.servers.end()) {
    absl::StrAppend(&text, " of ", server->second.record.server().hostname());
  }
  return text + ")";
}

}  // namespace penstock::metaserver

// A cluster CA and certificates of it, made for a test as `penstock up` makes them.
#pragma once

#include <string>

#include "common/net/grpc_credentials.h"

namespace penstock::testing {

// Makes ca.crt, server.crt and server.key in `dir` (which exists); the certificate is good for the
// name "penstock". Each call is a CA of its own.
net::TlsFiles MakeTlsFiles(const std::string& dir);

}  // namespace penstock::testing

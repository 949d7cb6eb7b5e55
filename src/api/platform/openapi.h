#pragma once
#include "net/openapi.h"

namespace trainyard::api {

/// The OpenAPI 3.1 document of the platform: what /openapi.json answers and docs/openapi.json holds.
Document platform_openapi(const net::Router& router);

/// Adds GET /openapi.json. The document is made when it is first asked for, of all routes that are there then.
void add_openapi_route(net::Router& router);

}  // namespace trainyard::api

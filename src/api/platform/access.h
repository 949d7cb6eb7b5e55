#pragma once
#include "access/access_service.h"
#include "base/executor.h"
#include "net/router.h"

namespace trainyard::api {

/// What the access routes work on; all of it outlives the HTTP server. `writes` is the one executor on which AccessService changes things;
/// both may block.
struct AccessContext {
  Executor& reads;
  Executor& writes;
  access::AccessService& service;
};

/// Adds, below /api/v1:
///   GET, POST   users                     GET, PATCH  users/{name}        GET, PUT, DELETE  users/{name}/grants
///   GET, POST   tokens                    GET, DELETE tokens/{id}
///   POST        agents/join-tokens        POST agents/join (with a join token), agents/renew    DELETE agents/{node}/credential
///   GET         whoami, can-i, audit
/// Secrets are shown once, in the answer that made them.
void add_access_routes(net::Router& router, AccessContext context);

}  // namespace trainyard::api

#pragma once
#include <string>

#include "access/session_authorizer.h"
#include "api/platform/jobs.h"
#include "api/platform/workflows.h"
#include "apps/server/status_view.h"

namespace trainyard::apps {

/// What the pages for people are made of; all of it outlives the HTTP server.
struct BrowserContext {
  api::JobContext jobs;
  api::WorkflowContext workflows;
  exec::ExecutionBackend& backend;
  track::ModelRegistry& models;
  access::SessionAuthorizer& callers;
  std::string url;
  std::string version;
  std::string warning;  ///< Stands on top of the status page; empty: none.
  MonotonicPoint started_at;
};

/// Adds
///   GET  /                the status page; without a credential a page that asks for the token
///   GET  /login?link=..   signs in by a one-time link;  GET /login: the page that asks for the token
///   POST /login           signs in with `token` of a form
///   POST /logout          ends the session
///   GET  /jobs/{id}, /workflows/{id}   one job, one workflow run
/// Those of the first four routes are open, but show and do nothing without a credential; they take the word of no page of another site.
void add_browser_routes(net::Router& router, const BrowserContext& context);

}  // namespace trainyard::apps

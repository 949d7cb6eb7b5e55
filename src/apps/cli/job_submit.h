#pragma once
#include <string>

#include "apps/cli/arguments.h"
#include "apps/cli/command_line.h"

namespace trainyard::apps {

/// A spec as it is sent: a file's text with the name that messages call it by, or JSON of our own without a name.
struct SpecText {
  std::string name;
  std::string text;
};

struct SendSettings {
  std::string target = "/api/v1/jobs";
  std::string key;       ///< Idempotency key; empty: a random one.
  bool dry_run = false;  ///< Nothing is submitted: the answer is a plan.
  Duration patience{0};  ///< How long an answer that was lost is asked for again.
};

/// Sends a spec. When the connection broke before the answer came it is sent again under the same key, so that there is one job.
Result<Document> send_spec(CommandContext& context, const SpecText& spec, const SendSettings& settings);

/// The spec that the options and the command of `job submit` describe. Errors: INVALID_ARGUMENT "cli.usage".
Result<Document> command_spec(const Config& config, const Arguments& arguments);

/// What a dry run says: {"plan":{"starts_now","placement","explanation"}}.
std::string plan_text(const Document& answer);
/// Errors: UNIMPLEMENTED "cli.no_dry_run" when the answer is no plan.
Result<void> print_plan(const CommandContext& context, const Document& answer);

/// --reconnect-for, else what is configured.
Duration reconnect_time(const CommandContext& context, const Arguments& arguments);

void submit_job(CommandContext& context, const Arguments& arguments);

}  // namespace trainyard::apps

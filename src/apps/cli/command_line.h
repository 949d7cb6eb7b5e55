#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/usage.h"
#include "base/document.h"
#include "client/api_client.h"

namespace trainyard::apps {

/// Exit codes of the CLI. Commands that return the job's own code use kOwnFailure for theirs.
enum ExitCode : int {
  kOk = 0,
  kFailed = 1,
  kUsage = 2,
  kNotFound = 3,
  kAuthentication = 4,
  kConflict = 5,
  kUnavailable = 6,
  kQuota = 7,
  kOwnFailure = 125,
  kInterrupted = 130,
};

int exit_code_of(Category category);

/// What every command can reach: the server it was told of and how to print. Made once in main.
struct CommandContext {
  std::string url;         ///< --url
  std::string token_file;  ///< --token-file
  std::string output = "table";
  std::string version;  ///< Of this build.
  bool quiet = false;
  int exit_code = kOk;

  /// Connects to the server found by flags, environment or the user's data directory. Errors: UNAVAILABLE "client.no_server".
  Result<std::unique_ptr<client::ApiClient>> connect() const;

  /// Prints the error with a next step to stderr and sets the exit code.
  void fail(const Error& error);
  void fail_own(const Error& error);
};

using Command = std::function<void(CommandContext&)>;

void add_job_commands(CLI::App& app, CommandContext& context);
void add_workflow_commands(CLI::App& app, CommandContext& context);
void add_listing_commands(CLI::App& app, CommandContext& context);
void add_server_commands(CLI::App& app, CommandContext& context);
void add_demo_command(CLI::App& app, CommandContext& context);

/// Prints columns aligned, with a header; for people.
std::string table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);
/// Prints a list: `rows` as a table for people, the first column alone with --quiet, else `document`. An empty list is said on stderr.
void print_list(const CommandContext& context, const Document& document, const std::vector<std::string>& header,
                const std::vector<std::vector<std::string>>& rows);
/// A value as a cell of a table: times as ages, lists and objects in short.
std::string cell(std::string_view key, const Document& value);
/// Prints `document` as the output format asks for, or calls `for_people`.
void print(const CommandContext& context, const Document& document, const std::function<std::string(const Document&)>& for_people);
/// "12s ago", "3m ago".
std::string age(const std::string& rfc3339);
/// "last" -> the newest job's id; others as they are.
Result<std::string> resolve_job(client::ApiClient& api, const std::string& selector);

/// Replaces this process by a sibling program. Returns only when that failed.
Error exec_sibling(const std::string& program, const std::vector<std::string>& arguments);

}  // namespace trainyard::apps

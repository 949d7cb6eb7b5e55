#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apps/cli/command_tree.h"
#include "apps/cli/config.h"
#include "apps/cli/error_report.h"
#include "apps/cli/output.h"
#include "base/document.h"
#include "client/api_client.h"

namespace trainyard::apps {

/// The one table from what went wrong to the exit code that says so. An answer without a category gets that of its HTTP status first, with
/// the same code in the end.
int exit_code_of(Category category);

/// What every command can reach: the server it was told of and how to print. Made once in main.
struct CommandContext {
  Config config;
  OutputSettings output;
  std::string version;  ///< Of this build.
  bool no_input = false;
  int exit_code = kOk;
  client::Variables variables = client::process_variables();

  /// Connects to the server found by flags, environment, configuration or the user's data directory. Errors: UNAVAILABLE
  /// "client.no_server", UNAUTHENTICATED "auth.token_file".
  Result<std::unique_ptr<client::ApiClient>> connect() const;
  /// The one connection of this command, made at the first call. Errors: as connect.
  Result<client::ApiClient*> api();
  /// Connects anew, for a server that came back, perhaps at another address.
  Result<client::ApiClient*> reconnect();

  /// Names a text that is sent, so that errors can show its lines. The one named last is where JSON pointers lead.
  void remember_source(const std::string& name, std::string text);

  /// Prints the error with a next step to stderr and sets the exit code.
  void fail(const Error& error);
  /// The same for commands that return the job's code.
  void fail_own(const Error& error);
  /// Raises the exit code to `code` if it is worse: for commands that do several things.
  void worsen(int code);

 private:
  std::unique_ptr<client::ApiClient> api_;
  std::map<std::string, std::string> sources_;
  std::string last_source_;
};

/// Prints a list as list_text. An empty one is said on stderr.
void print_list(const CommandContext& context, const Document& page, const ResourceView& view);
/// Prints one thing as item_text.
void print_item(const CommandContext& context, const Document& item, const ResourceView& view,
                const std::function<std::string(const Document&)>& for_people);
/// Prints what is no resource as document_text.
void print(const CommandContext& context, const Document& document, const std::function<std::string(const Document&)>& for_people);

/// Asks on the terminal, if there is one and --no-input was not given; `yes` answers at once. Otherwise an error that names --yes. Errors:
/// INVALID_ARGUMENT "cli.confirm"; CANCELLED "cli.declined".
Result<void> confirm(const CommandContext& context, bool yes, const std::string& question);

/// "10m" becomes the time ten minutes ago; a time and an empty text stay as they are. Errors: INVALID_ARGUMENT "cli.usage".
Result<std::string> moment(const std::string& text);

/// Fetches a list page by page until `limit` items are there. The answer is one page with all of them and, when there are more, the
/// `next_cursor` behind them. `target` may have a query.
Result<Document> fetch_list(client::ApiClient& api, const std::string& target, const std::string& plural, std::int64_t limit);

/// "?a=1&b=x%20y" from what is not empty.
class Query {
 public:
  Query& add(std::string_view key, std::string_view value);
  std::string text() const { return text_; }

 private:
  std::string text_;
};

/// Replaces this process by a sibling program. Returns only when that failed.
Error exec_sibling(const std::string& program, const std::vector<std::string>& arguments);

}  // namespace trainyard::apps

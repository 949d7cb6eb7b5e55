#include "apps/cli/command_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "apps/programs.h"
#include "base/time.h"

namespace trainyard::apps {

int exit_code_of(Category category) {
  switch (category) {
    case Category::kInvalidArgument:
    case Category::kOutOfRange:
      return kUsage;
    case Category::kNotFound:
      return kNotFound;
    case Category::kUnauthenticated:
    case Category::kPermissionDenied:
      return kAuthentication;
    case Category::kAlreadyExists:
    case Category::kAborted:
      return kConflict;
    case Category::kUnavailable:
    case Category::kDeadlineExceeded:
      return kUnavailable;
    case Category::kResourceExhausted:
      return kQuota;
    case Category::kCancelled:
      return kInterrupted;
    case Category::kFailedPrecondition:
    case Category::kUnknown:
    case Category::kUnimplemented:
    case Category::kInternal:
    case Category::kDataLoss:
      return kFailed;
  }
  return kFailed;
}

Result<std::unique_ptr<client::ApiClient>> CommandContext::connect() const {
  ASSIGN_OR_RETURN(const client::ServerAddress address, client::find_server({url, token_file}));
  Result<std::unique_ptr<client::ApiClient>> api = client::make_api_client(address);
  if (!api.ok()) return std::move(api).error();
  return api;
}

void CommandContext::fail(const Error& error) {
  fmt::print(stderr, "error: {}\n", error.describe());
  exit_code = exit_code_of(error.category);
}

void CommandContext::fail_own(const Error& error) {
  fail(error);
  exit_code = kOwnFailure;
}

std::string table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const std::string& title : header) widths.push_back(title.size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  const auto line = [&widths](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      text += i + 1 < cells.size() ? fmt::format("{:<{}}  ", cells[i], widths[i]) : cells[i];
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text + "\n";
  };
  std::string text = line(header);
  for (const auto& row : rows) text += line(row);
  return text;
}

void print(const CommandContext& context, const Document& document, const std::function<std::string(const Document&)>& for_people) {
  std::string text;
  if (context.output == "json") {
    text = to_pretty_json(document) + "\n";
  } else if (context.output == "yaml") {
    text = to_yaml(document);
  } else {
    text = for_people(document);
  }
  fmt::print("{}", text);
}

void print_list(const CommandContext& context, const Document& document, const std::vector<std::string>& header,
                const std::vector<std::vector<std::string>>& rows) {
  if (context.output != "table") return print(context, document, [](const Document&) { return std::string(); });
  if (context.quiet) {
    for (const auto& row : rows) fmt::print("{}\n", row.front());
    return;
  }
  if (rows.empty()) return fmt::print(stderr, "there are none yet\n");
  fmt::print("{}", table(header, rows));
}

std::string cell(std::string_view key, const Document& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return key.ends_with("_at") ? age(value.text()) : value.text();
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  for (const auto& [name, item] : value.members()) add(name + "=" + cell(name, item));
  for (const Document& item : value.items()) {
    // A layer of a dataset: its newest version says enough.
    add(item["layer"].is_null() ? cell("", item) : fmt::format("{}@{}", item["layer"].text(), cell("", item["version"])));
  }
  if (value.is_object() || value.is_array()) return text.empty() ? "-" : text;
  return to_json(value);
}

std::string age(const std::string& rfc3339) {
  const Result<TimePoint> time = parse_rfc3339(rfc3339);
  if (!time.ok()) return "-";
  const auto seconds = std::max<std::int64_t>(0, (SystemClock().now() - *time).count() / 1'000'000);
  if (seconds < 120) return fmt::format("{}s ago", seconds);
  if (seconds < 7200) return fmt::format("{}m ago", seconds / 60);
  if (seconds < 172'800) return fmt::format("{}h ago", seconds / 3600);
  return fmt::format("{}d ago", seconds / 86'400);
}

Result<std::string> resolve_job(client::ApiClient& api, const std::string& selector) {
  if (selector != "last") return net::percent_encode(selector);
  ASSIGN_OR_RETURN(const Document page, api.get("/api/v1/jobs?limit=1"));
  if (page["jobs"].items().empty())
    return not_found("job.unknown", "there is no job yet: submit one with `trainyard job submit -- COMMAND`");
  return page["jobs"].items().front()["id"].text();
}

Error exec_sibling(const std::string& program, const std::vector<std::string>& arguments) {
  Result<std::string> path = find_program(program);
  if (!path.ok()) return std::move(path).error();
  std::vector<std::string> words{program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(path->c_str(), argv.data());
  return system_error(errno, "exec", *path);
}

}  // namespace trainyard::apps

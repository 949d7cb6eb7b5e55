#include "apps/cli/command_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "apps/programs.h"
#include "base/describe.h"
#include "base/file.h"
#include "base/time.h"

namespace trainyard::apps {
namespace {

constexpr std::size_t kSourceMax = std::size_t{1} << 20;
constexpr std::int64_t kPageMax = 1'000;

}  // namespace

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
    case Category::kFailedPrecondition:
    case Category::kAborted:
      return kConflict;
    case Category::kUnavailable:
    case Category::kDeadlineExceeded:
      return kUnavailable;
    case Category::kResourceExhausted:
      return kQuota;
    case Category::kCancelled:
      return kInterrupted;
    case Category::kUnknown:
    case Category::kUnimplemented:
    case Category::kInternal:
    case Category::kDataLoss:
      return kFailed;
  }
  return kFailed;
}

Result<std::unique_ptr<client::ApiClient>> CommandContext::connect() const {
  ASSIGN_OR_RETURN(const client::ServerAddress address, config.address());
  return client::make_api_client(address);
}

Result<client::ApiClient*> CommandContext::api() {
  if (api_) return api_.get();
  return reconnect();
}

Result<client::ApiClient*> CommandContext::reconnect() {
  ASSIGN_OR_RETURN(api_, connect());
  return api_.get();
}

void CommandContext::remember_source(const std::string& name, std::string text) {
  sources_[name] = std::move(text);
  last_source_ = name;
}

void CommandContext::fail(const Error& error) {
  const SourceReader read = [this](const std::string& file) -> std::optional<std::string> {
    if (const auto known = sources_.find(file); known != sources_.end()) return known->second;
    Result<std::string> text = read_file(file, kSourceMax);
    return text.ok() ? std::optional(std::move(text).value()) : std::nullopt;
  };
  const Document nothing;
  const Document& problem = api_ && api_->last_problem()["code"].text() == error.id ? api_->last_problem() : nothing;
  fmt::print(stderr, "{}", error_report(error, problem, last_source_, read));
  exit_code = exit_code_of(error.category);
}

void CommandContext::fail_own(const Error& error) {
  fail(error);
  exit_code = kOwnFailure;
}

void CommandContext::worsen(int code) { exit_code = std::max(exit_code, code); }

void print_list(const CommandContext& context, const Document& page, const ResourceView& view) {
  const bool empty = page[view.plural].items().empty();
  if (empty && (is_for_people(context.output) || context.output.quiet)) return fmt::print(stderr, "there are none yet\n");
  write_out(stdout, list_text(context.output, page, view));
  const bool more = page.find("next_cursor") != nullptr;
  if (more && is_for_people(context.output) && !context.output.quiet) fmt::print(stderr, "there are more: --limit shows them\n");
}

void print_item(const CommandContext& context, const Document& item, const ResourceView& view,
                const std::function<std::string(const Document&)>& for_people) {
  write_out(stdout, item_text(context.output, item, view, for_people));
}

void print(const CommandContext& context, const Document& document, const std::function<std::string(const Document&)>& for_people) {
  write_out(stdout, document_text(context.output, document, for_people));
}

Result<void> confirm(const CommandContext& context, bool yes, const std::string& question) {
  if (yes) return {};
  const bool can_ask = !context.no_input && ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1;
  if (!can_ask)
    return invalid_argument("cli.confirm", fmt::format("this cannot be taken back: add --yes to do it without a question: {}", question));
  fmt::print(stderr, "{}? [y/N] ", question);
  std::fflush(stderr);
  std::array<char, 64> answer{};
  const bool answered = std::fgets(answer.data(), static_cast<int>(answer.size()), stdin) != nullptr;
  if (answered && (answer[0] == 'y' || answer[0] == 'Y')) return {};
  return Error{Category::kCancelled, "cli.declined", "nothing was done", {}, {}};
}

Result<std::string> moment(const std::string& text) {
  if (text.empty() || parse_rfc3339(text).ok()) return text;
  const Result<Duration> ago = parse_duration(text);
  if (!ago.ok())
    return invalid_argument("cli.usage", fmt::format("a moment is a time as 2026-01-02T03:04:05Z, or how long ago as 10m: {}", text));
  return to_rfc3339(SystemClock().now() - *ago);
}

Result<Document> fetch_list(client::ApiClient& api, const std::string& target, const std::string& plural, std::int64_t limit) {
  const std::string base = target + (target.find('?') == std::string::npos ? '?' : '&');
  ASSIGN_OR_RETURN(Document page, api.get(base + fmt::format("limit={}", std::min(limit, kPageMax))));
  const auto count = [&plural](const Document& some) { return static_cast<std::int64_t>(some[plural].items().size()); };
  // One page is most often enough, and then nothing is copied.
  if (page["next_cursor"].text().empty() || count(page) >= limit) return page;
  Document all = page[plural];
  while (!page["next_cursor"].text().empty() && static_cast<std::int64_t>(all.items().size()) < limit) {
    const std::int64_t rest = limit - static_cast<std::int64_t>(all.items().size());
    const std::string cursor = net::percent_encode(page["next_cursor"].text());
    ASSIGN_OR_RETURN(page, api.get(base + fmt::format("limit={}&cursor={}", std::min(rest, kPageMax), cursor)));
    for (const Document& item : page[plural].items()) all.push(item);
  }
  page.set(plural, std::move(all));
  return page;
}

Query& Query::add(std::string_view key, std::string_view value) {
  if (!value.empty()) text_ += fmt::format("{}{}={}", text_.empty() ? '?' : '&', key, net::percent_encode(value));
  return *this;
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

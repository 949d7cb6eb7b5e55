#include <fmt/format.h>

#include <algorithm>

#include "apps/cli/arguments.h"
#include "apps/cli/gathered_items.h"
#include "apps/cli/resources.h"
#include "base/file.h"

namespace trainyard::apps {
namespace {

constexpr std::int64_t kAll = 100'000;

void show_list(CommandContext& context, const std::string& target, const ResourceView& view) {
  const Result<client::ApiClient*> api = context.api();
  const Result<Document> page = api.ok() ? fetch_list(**api, target, view.plural, kAll) : Result<Document>(api.error());
  if (!page.ok()) return context.fail(page.error());
  print_list(context, *page, view);
}

void list_users(CommandContext& context, const Arguments&) { show_list(context, "/api/v1/users", users_view()); }
void list_tokens(CommandContext& context, const Arguments&) { show_list(context, "/api/v1/tokens", tokens_view()); }

std::string user_path(const std::string& name) { return "/api/v1/users/" + net::percent_encode(name); }

std::string user_line(const Document& user) { return fmt::format("user {}\n", user["name"].text()); }

void create_user(CommandContext& context, const Arguments& arguments) {
  Document body = Document::object({{"name", arguments.text("user")}});
  if (arguments.given("role")) {
    const std::string name_space = arguments.given("namespace") ? arguments.text("namespace") : "*";
    Document grant = Document::object({{"namespace", name_space}, {"role", arguments.text("role")}});
    body.set("grants", Document::array({std::move(grant)}));
  }
  const Result<client::ApiClient*> api = context.api();
  const Result<Document> user = api.ok() ? (*api)->post("/api/v1/users", body) : Result<Document>(api.error());
  if (!user.ok()) return context.fail(user.error());
  print_item(context, *user, users_view(), user_line);
}

void delete_users(CommandContext& context, const Arguments& arguments) {
  const std::vector<std::string> names = arguments.all("user");
  const std::string question = fmt::format("delete the users and their tokens: {}", fmt::join(names, ", "));
  if (const Result<void> sure = confirm(context, arguments.given("yes"), question); !sure.ok()) return context.fail(sure.error());
  const Result<client::ApiClient*> api = context.api();
  if (!api.ok()) return context.fail(api.error());
  int worst = kOk;
  GatheredItems answers(context, users_view().plural, names.size() > 1);
  for (const std::string& name : names) {
    const Result<Document> gone = (*api)->remove(user_path(name));
    if (gone.ok()) {
      answers.add(Document::object({{"name", name}, {"deleted", true}}), users_view(),
                  [&name](const Document&) { return fmt::format("user {} deleted\n", name); });
    } else {
      context.fail(gone.error());
      worst = std::max(worst, context.exit_code);
    }
  }
  answers.finish();
  context.exit_code = worst;
}

void disable(CommandContext& context, const Arguments& arguments, bool disabled) {
  const Result<client::ApiClient*> api = context.api();
  const Result<Document> user = api.ok() ? (*api)->patch(user_path(arguments.text("user")), Document::object({{"disabled", disabled}}))
                                         : Result<Document>(api.error());
  if (!user.ok()) return context.fail(user.error());
  print_item(context, *user, users_view(), [disabled](const Document& shown) {
    return fmt::format("user {} {}\n", shown["name"].text(), disabled ? "disabled" : "enabled");
  });
}
void disable_user(CommandContext& context, const Arguments& arguments) { disable(context, arguments, true); }
void enable_user(CommandContext& context, const Arguments& arguments) { disable(context, arguments, false); }

void grant(CommandContext& context, const Arguments& arguments) {
  const std::string path = user_path(arguments.text("user")) + "/grants";
  const std::string name_space = arguments.given("namespace") ? arguments.text("namespace") : "*";
  const std::string role = arguments.text("role");
  const Result<client::ApiClient*> api = context.api();
  if (!api.ok()) return context.fail(api.error());
  const Result<Document> changed = role == "none" ? (*api)->remove(path + Query().add("namespace", name_space).text())
                                                  : (*api)->put(path, Document::object({{"namespace", name_space}, {"role", role}}));
  if (!changed.ok()) return context.fail(changed.error());
  print(context, *changed, [&](const Document&) { return fmt::format("user {}: {} in {}\n", arguments.text("user"), role, name_space); });
}

/// A secret that the server shows once: into a file that only its owner reads, or on stdout.
void hand_over(CommandContext& context, const Arguments& arguments, const Document& made) {
  const std::string& secret = made["secret"].text();
  if (!arguments.given("out")) return print(context, made, [&secret](const Document&) { return secret + "\n"; });
  const std::string file = arguments.text("out");
  const Result<void> written = write_file_durably(file, secret + "\n");
  if (!written.ok()) return context.fail(written.error());
  Document shown = made;
  shown.set("secret", Document());
  shown.set("file", file);
  print(context, shown, [&file](const Document&) { return fmt::format("token written to {}\n", file); });
}

void create_token(CommandContext& context, const Arguments& arguments) {
  Document body = Document::object();
  for (const auto& [option, key] : {std::pair("user", "user"), std::pair("name", "name"), std::pair("role", "role"),
                                    std::pair("namespace", "namespace"), std::pair("expires-in", "expires_in")}) {
    if (arguments.given(option)) body.set(key, arguments.text(option));
  }
  const Result<client::ApiClient*> api = context.api();
  const Result<Document> made = api.ok() ? (*api)->post("/api/v1/tokens", body) : Result<Document>(api.error());
  if (!made.ok()) return context.fail(made.error());
  hand_over(context, arguments, *made);
}

void join_token(CommandContext& context, const Arguments& arguments) {
  Document body = Document::object();
  for (const auto& [option, key] : {std::pair("node", "node"), std::pair("pool", "pool"), std::pair("expires-in", "expires_in")}) {
    if (arguments.given(option)) body.set(key, arguments.text(option));
  }
  if (arguments.given("uses")) body.set("uses", arguments.number("uses"));
  Document labels = Document::object();
  for (const std::string& word : arguments.all("label")) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos)
      return context.fail(invalid_argument("cli.usage", "--label takes KEY=VALUE: " + word, "trainyard token join --help"));
    labels.set(word.substr(0, equals), word.substr(equals + 1));
  }
  if (!labels.members().empty()) body.set("labels", std::move(labels));
  const Result<client::ApiClient*> api = context.api();
  const Result<Document> made = api.ok() ? (*api)->post("/api/v1/agents/join-tokens", body) : Result<Document>(api.error());
  if (!made.ok()) return context.fail(made.error());
  hand_over(context, arguments, *made);
}

void revoke_tokens(CommandContext& context, const Arguments& arguments) {
  const std::vector<std::string> ids = arguments.all("token");
  const std::string question = fmt::format("revoke the tokens {}", fmt::join(ids, ", "));
  if (const Result<void> sure = confirm(context, arguments.given("yes"), question); !sure.ok()) return context.fail(sure.error());
  const Result<client::ApiClient*> api = context.api();
  if (!api.ok()) return context.fail(api.error());
  int worst = kOk;
  GatheredItems answers(context, tokens_view().plural, ids.size() > 1);
  for (const std::string& id : ids) {
    const Result<Document> gone = (*api)->remove("/api/v1/tokens/" + net::percent_encode(id));
    if (gone.ok()) {
      answers.add(Document::object({{"id", id}, {"revoked", true}}), tokens_view(),
                  [&id](const Document&) { return fmt::format("token {} revoked\n", id); });
    } else {
      context.fail(gone.error());
      worst = std::max(worst, context.exit_code);
    }
  }
  answers.finish();
  context.exit_code = worst;
}

void whoami(CommandContext& context, const Arguments&) {
  const Result<client::ApiClient*> api = context.api();
  const Result<Document> me = api.ok() ? (*api)->get("/api/v1/whoami") : Result<Document>(api.error());
  if (!me.ok()) return context.fail(me.error());
  print_item(context, *me, users_view(), to_yaml);
}

void can_i(CommandContext& context, const Arguments& arguments) {
  const Query query = Query().add("action", arguments.text("action")).add("namespace", arguments.text("namespace"));
  const Result<client::ApiClient*> api = context.api();
  const Result<Document> answer = api.ok() ? (*api)->get("/api/v1/can-i" + query.text()) : Result<Document>(api.error());
  if (!answer.ok()) return context.fail(answer.error());
  const bool allowed = (*answer)["allowed"].as_bool().value_or(false);
  print(context, *answer, [allowed](const Document& shown) {
    const std::string& needs = shown["needs"].text();
    return fmt::format("{}{}\n", allowed ? "yes" : "no", allowed || needs.empty() ? "" : ": it needs the role " + needs);
  });
  if (!allowed) context.exit_code = kFailed;
}

const OptionSpec kYes{.name = "yes", .letter = 'y', .doc = "Do not ask"};
const OptionSpec kNamespace{.name = "namespace", .letter = 'n', .value = "NAME", .doc = "In this namespace; default: in all"};
const OptionSpec kOut{
    .name = "out", .value = "FILE", .doc = "Write the token into this file, readable by you alone", .names = Names::kFile};
const std::vector<std::string> kRoles{"viewer", "runner", "operator", "admin"};

std::vector<CommandSpec> user_commands() {
  const ArgumentSpec user{.name = "user", .doc = "Name of the user", .required = true, .names = Names::kUser};
  std::vector<std::string> roles_or_none = kRoles;
  roles_or_none.emplace_back("none");
  return {
      {.path = "user", .summary = "Users and what they may do"},
      {.path = "user ls",
       .summary = "List users with their roles",
       .examples = {{"trainyard user ls", ""}},
       .exits = exits_with_server(),
       .run = list_users},
      {.path = "user create",
       .summary = "Create a user",
       .arguments = {user},
       .options = {{.name = "role", .value = "ROLE", .doc = "Grant this role at once", .choices = kRoles}, kNamespace},
       .examples = {{"trainyard user create ada --role runner --namespace vision", ""}},
       .exits = exits_with_server(),
       .run = create_user},
      {.path = "user delete",
       .summary = "Delete users and their tokens",
       .arguments = {{.name = "user", .doc = "Names of the users", .required = true, .repeated = true, .names = Names::kUser}},
       .options = {kYes},
       .examples = {{"trainyard user delete ada --yes", ""}},
       .exits = exits_with_server(),
       .run = delete_users},
      {.path = "user disable",
       .summary = "Refuse every token of a user",
       .arguments = {user},
       .examples = {{"trainyard user disable ada", ""}},
       .exits = exits_with_server(),
       .run = disable_user},
      {.path = "user enable",
       .summary = "Take the tokens of a user again",
       .arguments = {user},
       .examples = {{"trainyard user enable ada", ""}},
       .exits = exits_with_server(),
       .run = enable_user},
      {.path = "user grant",
       .summary = "Give a user a role in a namespace",
       .description = fmt::format("A role is {}; none takes it away. It replaces the role that the user has in the namespace.",
                                  fmt::join(kRoles, ", ")),
       .arguments = {user, {.name = "role", .doc = fmt::format("One of {}", fmt::join(roles_or_none, ", ")), .required = true}},
       .options = {kNamespace},
       .examples = {{"trainyard user grant ada operator --namespace vision", ""}, {"trainyard user grant ada none --namespace vision", ""}},
       .exits = exits_with_server(),
       .run = grant},
  };
}

std::vector<CommandSpec> token_commands() {
  return {
      {.path = "token", .summary = "Access tokens"},
      {.path = "token ls",
       .summary = "List tokens, never their secrets",
       .examples = {{"trainyard token ls", ""}},
       .exits = exits_with_server(),
       .run = list_tokens},
      {.path = "token create",
       .summary = "Create a token; it is shown once",
       .options = {{.name = "user", .value = "NAME", .doc = "Whose token; default: yours", .names = Names::kUser},
                   {.name = "name", .value = "TEXT", .doc = "What it is for"},
                   {.name = "role", .value = "ROLE", .doc = "At most this role", .choices = kRoles},
                   {.name = "namespace", .letter = 'n', .value = "NAME", .doc = "Only in this namespace"},
                   {.name = "expires-in", .value = "TIME", .doc = "As 30d", .type = ValueType::kDuration},
                   kOut},
       .examples = {{"trainyard token create --name ci --role runner --expires-in 30d --out ci.token", ""}},
       .exits = exits_with_server(),
       .run = create_token},
      {.path = "token revoke",
       .summary = "Make tokens worthless at once",
       .arguments = {{.name = "token", .doc = "Ids of the tokens", .required = true, .repeated = true, .names = Names::kToken}},
       .options = {kYes},
       .examples = {{"trainyard token revoke 7 --yes", ""}},
       .exits = exits_with_server(),
       .run = revoke_tokens},
      {.path = "token join",
       .summary = "Create a token with which an agent joins",
       .options =
           {{.name = "pool", .value = "NAME", .doc = "Pool that the node belongs to", .names = Names::kPool},
            {.name = "node", .value = "NAME", .doc = "The only node it is for, which it may also replace", .names = Names::kNode},
            {.name = "uses", .value = "N", .doc = "How many machines may join with it", .type = ValueType::kInteger, .min = 1, .max = 1000},
            {.name = "label", .letter = 'l', .value = "KEY=VALUE", .doc = "Label of the node", .repeated = true},
            {.name = "expires-in", .value = "TIME", .doc = "As 1h", .type = ValueType::kDuration},
            kOut},
       .examples = {{"trainyard token join --pool gpu --expires-in 1h --out join.token", ""}},
       .exits = exits_with_server(),
       .run = join_token},
  };
}

}  // namespace

std::vector<CommandSpec> access_commands() {
  std::vector<CommandSpec> commands = user_commands();
  for (CommandSpec& command : token_commands()) commands.push_back(std::move(command));
  commands.push_back({.path = "whoami",
                      .summary = "Who the server takes you for, and your roles",
                      .examples = {{"trainyard whoami", ""}},
                      .exits = exits_with_server(),
                      .run = whoami});
  commands.push_back({.path = "can-i",
                      .summary = "May I do this? Exits with 1 if not",
                      .arguments = {{.name = "action", .doc = "A role, or an operation of the API, as submitJob", .required = true}},
                      .options = {{.name = "namespace", .letter = 'n', .value = "NAME", .doc = "In this namespace"}},
                      .examples = {{"trainyard can-i submitJob --namespace vision", ""}},
                      .exits = exits_with_server(),
                      .run = can_i});
  return commands;
}

}  // namespace trainyard::apps

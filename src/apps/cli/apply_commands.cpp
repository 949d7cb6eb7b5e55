#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "apps/cli/arguments.h"
#include "apps/cli/gathered_items.h"
#include "apps/cli/job_submit.h"
#include "apps/cli/resources.h"
#include "apps/cli/yaml_documents.h"
#include "base/describe.h"
#include "base/file.h"

namespace trainyard::apps {
namespace {

constexpr std::size_t kFileMax = std::size_t{16} << 20;

/// One document that is to be applied.
struct Piece {
  std::string file;
  YamlPart part;
  bool is_workflow = false;
};

Result<std::vector<Piece>> read_pieces(CommandContext& context, const std::vector<std::string>& files) {
  std::vector<Piece> pieces;
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(const std::string text, read_file(file == "-" ? "/dev/stdin" : file, kFileMax));
    const std::string name = file == "-" ? "<stdin>" : file;
    context.remember_source(name, text);
    const std::vector<YamlPart> parts = split_yaml_documents(text);
    if (parts.empty()) return invalid_argument("spec.empty", "there is no document in the file", name + ":1:1");
    for (const YamlPart& part : parts) {
      ASSIGN_OR_RETURN(const Document document, parse_yaml(part.text, name));
      pieces.push_back({name, part, document.find("workflow") != nullptr});
    }
  }
  return pieces;
}

std::string target_of(const Piece& piece) {
  if (!piece.is_workflow) return "/api/v1/jobs";
  return "/api/v1/workflows:run?directory=" + net::percent_encode(std::filesystem::absolute(piece.file).parent_path().string());
}

Result<Document> send(CommandContext& context, const Piece& piece, bool dry_run, Duration patience) {
  return send_spec(context, {piece.file, piece.part.text}, {.target = target_of(piece), .dry_run = dry_run, .patience = patience});
}

std::string applied_line(const Piece& piece, const Document& made) {
  return fmt::format("{} {} {}\n", piece.is_workflow ? "workflow run" : "job", made["id"].text(), made["state"].text());
}

/// Jobs are checked by the server before the first of several is submitted, so that a mistake in the last one leaves nothing half done.
Result<std::vector<Document>> check_all(CommandContext& context, const std::vector<Piece>& pieces, Duration patience) {
  std::vector<Document> plans;
  for (const Piece& piece : pieces) {
    if (piece.is_workflow) continue;
    ASSIGN_OR_RETURN(Document plan, send(context, piece, true, patience));
    if (plan.find("plan") == nullptr) {
      return Error{Category::kUnimplemented,
                   "cli.no_dry_run",
                   fmt::format("the server does not know dry runs, it took the job: {}", plan["id"].text()),
                   {},
                   {}};
    }
    plans.push_back(std::move(plan));
  }
  return plans;
}

void show_plans(const CommandContext& context, const std::vector<Document>& plans, bool several) {
  GatheredItems shown(context, "", several);
  for (const Document& plan : plans) shown.add_plain(plan, plan_text);
  shown.finish();
}

void apply(CommandContext& context, const Arguments& arguments) {
  if (!arguments.given("file")) {
    return context.fail(invalid_argument("cli.usage",
                                         "name what is to be applied: trainyard apply -f jobs.yaml, or -f - for standard input",
                                         full_name(arguments.command()) + " --help"));
  }
  const Duration patience = reconnect_time(context, arguments);
  const Result<std::vector<Piece>> pieces = read_pieces(context, arguments.all("file"));
  if (!pieces.ok()) return context.fail(pieces.error());
  const bool dry_run = arguments.given("dry-run");
  if (dry_run || pieces->size() > 1) {
    const Result<std::vector<Document>> plans = check_all(context, *pieces, patience);
    if (!plans.ok()) return context.fail(plans.error());
    if (dry_run) return show_plans(context, *plans, pieces->size() > 1);
  }
  GatheredItems answers(context, "", pieces->size() > 1);
  for (const Piece& piece : *pieces) {
    Result<Document> made = send(context, piece, false, patience);
    if (!made.ok()) {
      context.fail(made.error());
      break;
    }
    answers.add(std::move(made).value(), piece.is_workflow ? workflows_view() : jobs_view(),
                [&piece](const Document& shown) { return applied_line(piece, shown); });
  }
  answers.finish();
}

const ResourceView& starts_view() {
  static const ResourceView view{
      "start", "starts", "job", {{"JOB", "job"}, {"NAME", "name"}, {"BEFORE", "before"}, {"AFTER", "after"}, {"NODES", "nodes"}}};
  return view;
}

Result<Document> change_of(CommandContext& context, const Arguments& arguments) {
  Document change = Document::object();
  if (arguments.given("file")) {
    const std::string file = arguments.text("file");
    ASSIGN_OR_RETURN(std::string text, read_file(file == "-" ? "/dev/stdin" : file, kFileMax));
    ASSIGN_OR_RETURN(Document spec, parse_yaml(text, file));
    context.remember_source(file, std::move(text));
    change.set("submit", std::move(spec));
  }
  if (arguments.given("add-nodes")) {
    Document nodes = Document::object({{"count", arguments.number("add-nodes")}});
    for (const char* key : {"cpu", "memory", "gpu", "pool"}) {
      if (arguments.given(key)) nodes.set(key, arguments.text(key));
    }
    change.set("add_nodes", std::move(nodes));
  }
  if (arguments.given("cancel")) change.set("cancel", Document::object({{"job", arguments.text("cancel")}}));
  if (arguments.given("drain")) change.set("drain", Document::object({{"node", arguments.text("drain")}}));
  if (change.members().size() == 1) return change;
  return invalid_argument("cli.usage", "give one change: --file, --add-nodes, --cancel or --drain", "trainyard what-if --help");
}

/// What would leave its nodes, and how much the caller does not see.
std::string stops_text(const Document& answer) {
  std::string text;
  for (const Document& stop : answer["stops"].items()) {
    text += fmt::format("job {} ({}) would leave its nodes\n", stop["job"].text(), stop["name"].text());
  }
  const std::int64_t others = answer["others"].as_int().value_or(0);
  if (others > 0) text += fmt::format("and {} more in namespaces that you do not see\n", others);
  return text;
}

void what_if(CommandContext& context, const Arguments& arguments) {
  const Result<Document> change = change_of(context, arguments);
  if (!change.ok()) return context.fail(change.error());
  const Result<client::ApiClient*> api = context.api();
  const Result<Document> answer = api.ok() ? (*api)->post("/api/v1/what-if", *change) : Result<Document>(api.error());
  if (!answer.ok()) return context.fail(answer.error());
  const bool for_people = is_for_people(context.output) && !context.output.quiet;
  if (for_people && answer->find("plan") != nullptr) write_out(stdout, plan_text(*answer));
  if ((*answer)["starts"].items().empty() && for_people) {
    fmt::print(stderr, "no job would start at another time\n");
  } else {
    print_list(context, *answer, starts_view());
  }
  if (for_people) write_out(stdout, stops_text(*answer));
}

}  // namespace

std::vector<CommandSpec> apply_commands() {
  return {
      {.path = "apply",
       .summary = "Submit every document of YAML files",
       .description = "A file may hold several documents, split by `---`: jobs, and workflows (documents with `workflow:`). All are "
                      "checked before the first is "
                      "submitted. Each apply submits anew. Of several documents -o json and yaml print one list.",
       .options = {{.name = "file",
                    .letter = 'f',
                    .value = "FILE",
                    .doc = "YAML or JSON; - reads standard input",
                    .names = Names::kFile,
                    .repeated = true},
                   {.name = "dry-run", .doc = "Check only, and say where the jobs would run"},
                   {.name = "reconnect-for", .value = "TIME", .doc = "How long the server may be away [5m]", .type = ValueType::kDuration}},
       .examples = {{"trainyard apply -f jobs.yaml", ""}, {"trainyard apply --dry-run -f jobs.yaml -f more.yaml", ""}},
       .exits = exits_with_server(),
       .run = apply},
      {.path = "what-if",
       .summary = "Which jobs would start at another time after a change",
       .description = "The scheduler tries the change on a copy of its state; nothing changes.",
       .options = {{.name = "file", .letter = 'f', .value = "FILE", .doc = "Submit the job of this file", .names = Names::kFile},
                   {.name = "add-nodes",
                    .value = "N",
                    .doc = "Add so many nodes, described by --cpu, --memory, --gpu and --pool",
                    .type = ValueType::kInteger,
                    .min = 1,
                    .max = 1'000},
                   {.name = "cpu", .value = "N", .doc = "CPU of an added node"},
                   {.name = "memory", .value = "SIZE", .doc = "Memory of an added node"},
                   {.name = "gpu", .value = "N", .doc = "GPU devices of an added node"},
                   {.name = "pool", .value = "NAME", .doc = "Pool of an added node", .names = Names::kPool},
                   {.name = "cancel", .value = "JOB", .doc = "Cancel this job", .names = Names::kJob},
                   {.name = "drain", .value = "NODE", .doc = "Drain this node", .names = Names::kNode}},
       .examples = {{"trainyard what-if -f big.yaml", ""},
                    {"trainyard what-if --add-nodes 2 --cpu 32 --memory 256GiB --gpu 8", ""},
                    {"trainyard what-if --drain gpu-03", ""}},
       .exits = exits_with_server(),
       .run = what_if},
  };
}

}  // namespace trainyard::apps

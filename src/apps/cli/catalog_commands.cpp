#include <fmt/format.h>

#include "apps/cli/arguments.h"
#include "apps/cli/command_line.h"
#include "apps/cli/resources.h"

namespace trainyard::apps {
namespace {

/// A noun with `ls` and `get` and no more.
struct Catalog {
  std::string noun;
  std::string summary;
  std::string collection;
  const ResourceView& (*view)();
  Names names;
  std::string example;  ///< A name for the help.
};

const std::vector<Catalog>& catalogs() {
  static const std::vector<Catalog> table{
      {"run", "Tracked runs and their metrics", "/api/v1/runs", runs_view, Names::kRun, "adebffa33ceb18ee0000000000000003"},
      {"model", "Registered models", "/api/v1/models", models_view, Names::kModel, "fashion"},
      {"dataset", "Datasets and their versions", "/api/v1/datasets", datasets_view, Names::kDataset, "fashion"},
  };
  return table;
}

const Catalog& catalog_of(const Arguments& arguments) {
  const std::string& path = arguments.command().path;
  for (const Catalog& catalog : catalogs()) {
    if (path.starts_with(catalog.noun + " ")) return catalog;
  }
  return catalogs().front();
}

void list(CommandContext& context, const Arguments& arguments) {
  const Catalog& catalog = catalog_of(arguments);
  const Result<client::ApiClient*> api = context.api();
  const Result<Document> page =
      api.ok() ? fetch_list(**api, catalog.collection, catalog.view().plural, arguments.number("limit")) : Result<Document>(api.error());
  if (!page.ok()) return context.fail(page.error());
  print_list(context, *page, catalog.view());
}

void get(CommandContext& context, const Arguments& arguments) {
  const Catalog& catalog = catalog_of(arguments);
  const Result<client::ApiClient*> api = context.api();
  const Result<Document> item =
      api.ok() ? (*api)->get(catalog.collection + "/" + net::percent_encode(arguments.text("name"))) : Result<Document>(api.error());
  if (!item.ok()) return context.fail(item.error());
  print_item(context, *item, catalog.view(), to_yaml);
}

}  // namespace

std::vector<CommandSpec> catalog_commands() {
  std::vector<CommandSpec> commands;
  for (const Catalog& catalog : catalogs()) {
    commands.push_back({.path = catalog.noun, .summary = catalog.summary});
    commands.push_back(
        {.path = catalog.noun + " ls",
         .summary = "List them, with what they are",
         .options =
             {{.name = "limit", .value = "N", .doc = "How many", .preset = "100", .type = ValueType::kInteger, .min = 1, .max = 1'000'000}},
         .examples = {{fmt::format("trainyard {} ls", catalog.noun), ""}, {fmt::format("trainyard {} ls -o json", catalog.noun), ""}},
         .exits = exits_with_server(),
         .run = list});
    commands.push_back({.path = catalog.noun + " get",
                        .summary = "Show one",
                        .arguments = {{.name = "name", .doc = "Its id or name", .required = true, .names = catalog.names}},
                        .examples = {{fmt::format("trainyard {} get {}", catalog.noun, catalog.example), ""}},
                        .exits = exits_with_server(),
                        .run = get});
  }
  return commands;
}

}  // namespace trainyard::apps

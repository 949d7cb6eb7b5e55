#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>

#include "apps/cli/command_line.h"

namespace trainyard::apps {
namespace {

/// A noun with `ls` and `get`: what to fetch and which columns to show.
struct Listing {
  std::string noun;
  std::string doc;
  std::string collection;            ///< "/api/v1/runs"
  std::string items;                 ///< Key of the list in the answer.
  std::vector<std::string> columns;  ///< Keys of an item, in order.
  std::string example;               ///< A name for the help.
};

const std::vector<Listing>& listings() {
  static const std::vector<Listing> table{
      {"run",
       "Tracked runs and their metrics",
       "/api/v1/runs",
       "runs",
       {"id", "name", "status", "started_at"},
       "adebffa33ceb18ee0000000000000003"},
      {"model", "Registered models", "/api/v1/models", "models", {"name", "latest_version", "aliases"}, "fashion"},
      {"dataset", "Datasets and their versions", "/api/v1/datasets", "datasets", {"name", "layers", "created_at"}, "fashion"},
      {"node", "Nodes that run jobs", "/api/v1/nodes", "nodes", {"name", "ready", "cpu", "memory"}, ""},
  };
  return table;
}

/// "started_at" -> "STARTED"
std::string title(std::string key) {
  if (key.ends_with("_at")) key.resize(key.size() - 3);
  std::replace(key.begin(), key.end(), '_', ' ');
  std::transform(key.begin(), key.end(), key.begin(), [](unsigned char letter) { return static_cast<char>(std::toupper(letter)); });
  return key;
}

void list(CommandContext& context, const Listing& listing) {
  Result<std::unique_ptr<client::ApiClient>> api = context.connect();
  if (!api.ok()) return context.fail(api.error());
  const Result<Document> page = (*api)->get(listing.collection);
  if (!page.ok()) return context.fail(page.error());
  std::vector<std::string> header;
  for (const std::string& key : listing.columns) header.push_back(title(key));
  std::vector<std::vector<std::string>> rows;
  for (const Document& item : (*page)[listing.items].items()) {
    std::vector<std::string>& row = rows.emplace_back();
    for (const std::string& key : listing.columns) row.push_back(cell(key, item[key]));
  }
  print_list(context, *page, header, rows);
}

void get(CommandContext& context, const Listing& listing, const std::string& name) {
  Result<std::unique_ptr<client::ApiClient>> api = context.connect();
  if (!api.ok()) return context.fail(api.error());
  const Result<Document> item = (*api)->get(listing.collection + "/" + net::percent_encode(name));
  if (!item.ok()) return context.fail(item.error());
  print(context, *item, to_yaml);
}

}  // namespace

void add_listing_commands(CLI::App& app, CommandContext& context) {
  for (const Listing& listing : listings()) {
    CLI::App* noun = app.add_subcommand(listing.noun, listing.doc);
    noun->require_subcommand(1);
    CLI::App* ls = noun->add_subcommand("ls", "List them, with what they are");
    ls->callback([&context, &listing] { list(context, listing); });
    add_examples(*ls, {fmt::format("trainyard {} ls", listing.noun), fmt::format("trainyard {} ls -o json", listing.noun)});
    if (listing.noun == "node") continue;
    auto name = std::make_shared<std::string>();  // shared: CLI11 keeps callbacks by copy
    CLI::App* command = noun->add_subcommand("get", "Show one");
    command->add_option("name", *name, "Its id or name")->required();
    command->callback([&context, &listing, name] { get(context, listing, *name); });
    add_examples(*command, {fmt::format("trainyard {} get {}", listing.noun, listing.example)});
  }
}

}  // namespace trainyard::apps

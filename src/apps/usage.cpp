#include "apps/usage.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <optional>

#include "base/describe.h"

namespace trainyard::apps {
namespace {

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(sub->get_name());
  return names;
}

const CLI::App* command_called(const CLI::App& app, const std::string& name) {
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (sub->get_name() == name) return sub;
  }
  return nullptr;
}

std::vector<std::string> options_of(const CLI::App* app) {
  std::vector<std::string> names;
  for (; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
      for (const std::string& name : option->get_fnames()) names.push_back("--" + name);
      for (const std::string& name : option->get_snames()) names.push_back("-" + name);
    }
  }
  return names;
}

bool takes_value(const CLI::App* app, const std::string& word) {
  for (; app != nullptr; app = app->get_parent()) {
    const CLI::Option* option = app->get_option_no_throw(word);
    if (option != nullptr) return option->get_items_expected_max() > 0;
  }
  return false;
}

/// The command that the words lead to, and the first word that leads nowhere.
struct Walk {
  const CLI::App* at = nullptr;
  std::string path;
  std::optional<std::string> unknown_command;
  std::optional<std::string> unknown_option;
};

Walk walk(const CLI::App& app, const std::vector<std::string>& words) {
  Walk walk{&app, app.get_name(), {}, {}};
  for (std::size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    const std::string& word = words[i];
    if (word.size() > 1 && word.front() == '-') {
      const std::string name = word.substr(0, word.find('='));
      const std::vector<std::string> known = options_of(walk.at);
      const bool is_known = std::find(known.begin(), known.end(), name) != known.end();
      if (!is_known && !walk.unknown_option) walk.unknown_option = name;
      if (is_known && name == word && takes_value(walk.at, name)) ++i;
      continue;
    }
    if (commands_of(*walk.at).empty()) continue;
    const CLI::App* next = command_called(*walk.at, word);
    if (next == nullptr) {
      walk.unknown_command = word;
      break;
    }
    walk.at = next;
    walk.path += " " + word;
  }
  return walk;
}

std::string suggestion(const std::string& word, const std::vector<std::string>& known) {
  const std::optional<std::string> match = nearest(word, known);
  return match ? fmt::format("; did you mean `{}`?", *match) : std::string();
}

}  // namespace

std::string explain_usage_error(const CLI::App& app, const std::vector<std::string>& words, const std::string& refusal) {
  const Walk at = walk(app, words);
  const std::vector<std::string> commands = commands_of(*at.at);
  std::string what = refusal;
  if (at.unknown_command) {
    what = fmt::format("there is no such command{}: {} {}", suggestion(*at.unknown_command, commands), at.path, *at.unknown_command);
  } else if (at.unknown_option) {
    what = fmt::format("there is no such option{}: {}", suggestion(*at.unknown_option, options_of(at.at)), *at.unknown_option);
  } else if (const std::size_t wanted = refusal.find(": 1 required"); wanted != std::string::npos) {
    what = fmt::format("the option wants a value: {}", refusal.substr(0, wanted));
  } else if (const std::size_t name = refusal.find(" is required"); commands.empty() && name != std::string::npos) {
    what = fmt::format("an argument is missing: {}", refusal.substr(0, name));
  } else if (!commands.empty()) {
    what = fmt::format("a command is missing, one of {}: {} ...", fmt::join(commands, ", "), at.path);
  }
  return fmt::format("error: cli.usage: {}\nnext: `{} --help` explains it\n", what, at.path);
}

}  // namespace trainyard::apps

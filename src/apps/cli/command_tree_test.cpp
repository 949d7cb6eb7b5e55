#include "apps/cli/command_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "apps/cli/arguments.h"
#include "apps/cli/completion.h"
#include "apps/cli/help_pages.h"

namespace trainyard::apps {
namespace {

/// Splits as a shell would: quotes keep words together, and what stands behind a pipe or a redirection is not ours.
std::vector<std::string> shell_words(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool begun = false;
  char quote = 0;
  for (const char letter : line) {
    if (quote != 0) {
      if (letter == quote) {
        quote = 0;
      } else {
        word += letter;
      }
    } else if (letter == '\'' || letter == '"') {
      quote = letter;
      begun = true;
    } else if (letter == ' ') {
      if (begun) words.push_back(std::exchange(word, ""));
      begun = false;
    } else if (letter == '|' || letter == '>' || letter == ')') {
      break;
    } else {
      word += letter;
      begun = true;
    }
  }
  if (begun) words.push_back(word);
  return words;
}

std::vector<const CommandSpec*> documented() {
  std::vector<const CommandSpec*> found;
  for (const CommandSpec& command : command_tree()) {
    if (!command.hidden) found.push_back(&command);
  }
  return found;
}

TEST(CommandTree, every_command_has_a_place_and_a_one_line_summary) {
  std::set<std::string> paths;
  for (const CommandSpec* command : documented()) {
    EXPECT_TRUE(paths.insert(command->path).second) << command->path;
    EXPECT_FALSE(command->summary.empty()) << command->path;
    EXPECT_FALSE(command->summary.ends_with('.')) << command->path;
    EXPECT_EQ(command->summary.find('\n'), std::string::npos) << command->path;
    EXPECT_LE(command->summary.size(), 90U) << command->path;
    const std::size_t space = command->path.rfind(' ');
    if (space != std::string::npos) {
      EXPECT_TRUE(paths.count(command->path.substr(0, space)) == 1) << command->path;
    }
    EXPECT_EQ(is_noun(*command), !commands_below(command_tree(), command->path).empty()) << command->path;
  }
}

TEST(CommandTree, every_command_documents_its_exit_codes_in_ascending_order) {
  for (const CommandSpec* command : documented()) {
    if (is_noun(*command)) continue;
    EXPECT_TRUE(std::is_sorted(command->exits.begin(), command->exits.end())) << command->path;
    EXPECT_TRUE(std::count(command->exits.begin(), command->exits.end(), kOk) == 1) << command->path;
    EXPECT_TRUE(std::count(command->exits.begin(), command->exits.end(), kUsage) == 1) << command->path;
  }
}

TEST(CommandTree, every_example_is_a_command_line_of_its_command) {
  for (const CommandSpec* command : documented()) {
    if (is_noun(*command) && !command->path.empty()) continue;
    EXPECT_FALSE(command->examples.empty()) << command->path;
    for (const ExampleSpec& example : command->examples) {
      std::vector<std::string> words = shell_words(example.line);
      const auto program = std::find_if(words.begin(), words.end(), [](const std::string& word) { return word.ends_with("trainyard"); });
      ASSERT_NE(program, words.end()) << example.line;
      words.erase(words.begin(), program + 1);
      const Result<ParsedLine> line = parse_command_line(command_tree(), words);
      ASSERT_TRUE(line.ok()) << example.line << ": " << line.error().describe();
      if (!command->path.empty()) {
        EXPECT_EQ(line->arguments.command().path, command->path) << example.line;
      }
    }
  }
}

TEST(CommandTree, every_option_is_described_and_means_one_thing) {
  for (const CommandSpec* command : documented()) {
    std::set<std::string> names;
    std::set<char> letters;
    for (const auto* options : {&command->options, &global_options()}) {
      for (const OptionSpec& option : *options) {
        EXPECT_TRUE(names.insert(option.name).second) << command->path << " --" << option.name;
        if (option.letter != 0) {
          EXPECT_TRUE(letters.insert(option.letter).second) << command->path << " -" << option.letter;
        }
        EXPECT_FALSE(option.doc.empty() || option.doc.ends_with('.')) << command->path << " --" << option.name;
        EXPECT_EQ(find_option(*command, "--" + option.name), &option) << command->path << " --" << option.name;
      }
    }
    for (std::size_t i = 0; i < command->arguments.size(); ++i) {
      EXPECT_FALSE(command->arguments[i].doc.empty()) << command->path;
      EXPECT_TRUE(names.insert(command->arguments[i].name).second) << command->path << " " << command->arguments[i].name;
      EXPECT_TRUE(!command->arguments[i].repeated || i + 1 == command->arguments.size()) << command->path;
    }
  }
}

TEST(CommandTree, destructive_commands_can_be_told_not_to_ask) {
  for (const char* path : {"job cancel", "node drain", "node rm", "token revoke", "user delete"}) {
    const CommandSpec* command = find_command(command_tree(), path);
    ASSERT_NE(command, nullptr) << path;
    EXPECT_NE(find_option(*command, "--yes"), nullptr) << path;
  }
}

TEST(CommandTree, every_command_has_help_that_fits) {
  for (const CommandSpec* command : documented()) {
    const std::string help = help_text(command_tree(), *command);
    EXPECT_NE(help.find("Usage: " + full_name(*command)), std::string::npos) << command->path;
    for (const OptionSpec& option : command->options) EXPECT_NE(help.find("--" + option.name), std::string::npos) << command->path;
    for (const CommandSpec* below : commands_below(command_tree(), command->path)) {
      EXPECT_NE(help.find(below->summary), std::string::npos) << below->path;
    }
    std::size_t begin = 0;
    while (begin < help.size()) {
      const std::size_t end = help.find('\n', begin);
      EXPECT_LE(end - begin, 130U) << help.substr(begin, end - begin);
      begin = end + 1;
    }
  }
}

TEST(CommandTree, every_command_has_a_manual_page_with_its_exit_codes) {
  for (const CommandSpec* command : documented()) {
    const std::string page = man_page(command_tree(), *command, "1.2.3", command->program.empty() ? "" : "Usage: it\n  --port N");
    EXPECT_TRUE(page.starts_with(".TH ")) << command->path;
    for (const char* section : {".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"})
      EXPECT_NE(page.find(section), std::string::npos) << command->path;
    for (const ExitCode code : command->exits) {
      EXPECT_NE(page.find(".B " + std::to_string(static_cast<int>(code)) + "\n"), std::string::npos) << command->path << " " << code;
    }
    EXPECT_EQ(page.find("\n\n"), std::string::npos) << "an empty line in roff: " << command->path;
  }
  EXPECT_EQ(man_page_file(*find_command(command_tree(), "job submit")), "trainyard-job-submit.1");
}

TEST(CommandTree, every_command_and_option_is_completed) {
  const LiveNames nothing = [](Names) { return std::vector<Candidate>(); };
  const ProgramOptions no_options = [](const CommandSpec&) { return std::vector<Candidate>(); };
  const auto words_of = [](std::string_view path) {
    std::vector<std::string> words = shell_words(path);
    words.emplace_back();
    return words;
  };
  for (const CommandSpec* command : documented()) {
    if (command->path.empty()) continue;
    const std::size_t space = command->path.rfind(' ');
    const std::string parent = space == std::string::npos ? "" : command->path.substr(0, space);
    const std::vector<Candidate> found = complete(command_tree(), words_of(parent), nothing, no_options);
    const Candidate wanted{std::string(last_word(*command)), command->summary};
    EXPECT_EQ(std::count(found.begin(), found.end(), wanted), 1) << command->path;
    for (const OptionSpec& option : command->options) {
      std::vector<std::string> words = words_of(command->path);
      words.back() = "--" + option.name;
      const std::vector<Candidate> options = complete(command_tree(), words, nothing, no_options);
      EXPECT_TRUE(std::any_of(options.begin(), options.end(), [&](const Candidate& one) { return one.word == "--" + option.name; }))
          << command->path;
    }
  }
}

TEST(CommandTree, reference_holds_every_command_with_its_codes) {
  const std::string reference = markdown_reference(command_tree());
  for (const CommandSpec* command : documented()) {
    if (is_noun(*command)) continue;
    EXPECT_NE(reference.find("### " + full_name(*command) + "\n"), std::string::npos) << command->path;
  }
  EXPECT_NE(reference.find("| 125 |"), std::string::npos);
}

TEST(HelpText, is_as_it_was_agreed) {
  EXPECT_EQ(help_text(command_tree(), *find_command(command_tree(), "job retry")),
            "Submit ended jobs again\n"
            "\n"
            "Usage: trainyard job retry [OPTIONS] [JOB...]\n"
            "\n"
            "A new job with the same spec, which says what it comes from.\n"
            "\n"
            "Arguments:\n"
            "  [JOB...]  Jobs, as 17, 1-5, 1,3,7, 17[3], last or @queued\n"
            "\n"
            "Options:\n"
            "  -l, --label KEY=VALUE  Jobs with this label; may be repeated\n"
            "\n"
            "Examples:\n"
            "  trainyard job retry 17\n"
            "  trainyard job retry 3-5 -o json\n"
            "\n"
            "Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 authentication, 5 conflict, 6 unavailable, 7\n"
            "quota, 130 interrupted.\n"
            "Every command also takes --url, --token-file, -o FORMAT, -q and --no-input; see `trainyard --help`.\n");
}

TEST(ManPage, text_cannot_become_a_request) {
  CommandSpec command{.path = "x", .summary = "It's \\so", .description = ".so /etc/passwd\n\n'tis", .exits = {kOk}};
  const std::string page = man_page(std::span(&command, 1), command, "1", "");
  EXPECT_EQ(page.find("\n.so"), std::string::npos) << page;
  EXPECT_EQ(page.find("\n'tis"), std::string::npos) << page;
  EXPECT_NE(page.find("It's \\eso"), std::string::npos) << page;
}

}  // namespace
}  // namespace trainyard::apps

#include "apps/cli/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "apps/cli/json_path.h"
#include "base/check.h"
#include "base/describe.h"
#include "base/document.h"

namespace trainyard::apps {
namespace {

const OptionSpec* own_or_global(const CommandSpec& command, std::string_view name) {
  return find_option(command, "--" + std::string(name));
}

const ArgumentSpec* find_argument(const CommandSpec& command, std::string_view name) {
  const auto found = std::find_if(command.arguments.begin(), command.arguments.end(),
                                  [name](const ArgumentSpec& argument) { return argument.name == name; });
  return found == command.arguments.end() ? nullptr : &*found;
}

std::optional<std::int64_t> integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Error usage(const CommandSpec& at, std::string message) {
  return invalid_argument("cli.usage", std::move(message), full_name(at) + " --help");
}

std::string suggestion(const std::string& word, const std::vector<std::string>& known) {
  const std::optional<std::string> match = nearest(word, known);
  return match ? fmt::format("; did you mean `{}`?", *match) : std::string();
}

std::vector<std::string> words_of_options(const CommandSpec& command) {
  std::vector<std::string> words;
  for (const auto* options : {&command.options, &global_options()}) {
    for (const OptionSpec& option : *options) {
      words.push_back("--" + option.name);
      if (option.letter != 0) words.push_back(std::string("-") + option.letter);
    }
  }
  if (command.path.empty()) words.emplace_back("--version");
  return words;
}

std::vector<std::string> names_below(std::span<const CommandSpec> tree, const CommandSpec& command) {
  std::vector<std::string> names;
  for (const CommandSpec* below : commands_below(tree, command.path)) names.emplace_back(last_word(*below));
  return names;
}

/// Bytes that are no UTF-8 would reach the server as other ones. Files may have any name.
Result<void> check_text(const CommandSpec& command, std::string_view what, const std::string& value, Names names) {
  const Result<Document> sent = parse_json(to_json(Document(value)));
  if (names == Names::kFile || names == Names::kDirectory || (sent.ok() && sent->text() == value)) return {};
  std::string shown;
  for (const char letter : value) {
    const auto byte = static_cast<unsigned char>(letter);
    shown += byte >= 0x20 && byte < 0x7F ? std::string(1, letter) : fmt::format("\\x{:02x}", byte);
  }
  return usage(command, fmt::format("what is given is no UTF-8 and cannot be sent as it is: {}: \"{}\"", what, shown));
}

Result<void> check_value(const CommandSpec& command, const OptionSpec& option, const std::string& value) {
  const std::string name = "--" + option.name;
  TRY(check_text(command, name, value, option.names));
  if (option.type == ValueType::kOutput) {
    if (is_output_format(value)) return {};
    return usage(command, fmt::format("{} is one of {}{}: {}", name, option.doc, suggestion(value, option.choices), value));
  }
  if (option.type == ValueType::kInteger) {
    const std::optional<std::int64_t> number = integer(value);
    if (number && *number >= option.min && *number <= option.max) return {};
    const std::string bounds =
        option.max == INT64_MAX ? fmt::format("at least {}", option.min) : fmt::format("between {} and {}", option.min, option.max);
    return usage(command, fmt::format("{} is a whole number {}: {}", name, bounds, value));
  }
  if (option.type == ValueType::kDuration && !parse_duration(value).ok()) {
    return usage(command, fmt::format("{} is a time as 90s, 15m or 1h30m: {}", name, value));
  }
  if (!option.choices.empty() && std::find(option.choices.begin(), option.choices.end(), value) == option.choices.end()) {
    return usage(command,
                 fmt::format("{} is one of {}{}: {}", name, fmt::join(option.choices, ", "), suggestion(value, option.choices), value));
  }
  return {};
}

/// Walks over the words once.
class LineParser {
 public:
  LineParser(std::span<const CommandSpec> tree, std::span<const std::string> words)
      : tree_(tree), words_(words), command_(find_command(tree, "")) {}

  Result<ParsedLine> run() {
    for (; at_ < words_.size(); ++at_) {
      const std::string& word = words_[at_];
      if (!only_arguments_ && is_option(word)) {
        TRY(take_option(word));
      } else if (is_noun(*command_)) {
        TRY(take_command(word));
        if (!command_->program.empty()) return program_line();
      } else {
        positional_.push_back(word);
      }
    }
    ParsedLine line{Arguments(*command_), wants_help_, {}};
    if (wants_help_) return line;
    if (is_noun(*command_)) {
      return usage(*command_, fmt::format("a command is missing, one of {}: {} ...", fmt::join(names_below(tree_, *command_), ", "),
                                          full_name(*command_)));
    }
    TRY(sort(line.arguments));
    return line;
  }

 private:
  /// A negative number is an option only where such a letter is one.
  bool is_option(const std::string& word) const {
    if (word.size() < 2 || word[0] != '-') return false;
    const bool digit = word[1] >= '0' && word[1] <= '9';
    return !digit || find_option(*command_, word.substr(0, 2)) != nullptr;
  }

  Result<void> take_command(const std::string& word) {
    const std::string path = command_->path.empty() ? word : command_->path + " " + word;
    const CommandSpec* next = find_command(tree_, path);
    if (next == nullptr || word.empty() || word.find(' ') != std::string::npos) {
      return usage(*command_, fmt::format("there is no such command{}: {} {}", suggestion(word, names_below(tree_, *command_)),
                                          full_name(*command_), word));
    }
    command_ = next;
    return {};
  }

  Result<void> take_option(const std::string& word) {
    if (word == "--") {
      only_arguments_ = true;
      return {};
    }
    if (word[1] != '-') return take_letters(word);
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const OptionSpec* option = find_option(*command_, name);
    if (option == nullptr) return unknown_option(name);
    if (option->value.empty()) {
      if (equals != std::string::npos) return usage(*command_, fmt::format("the option takes no value: {}", name));
      return take_value(*option, "");
    }
    if (equals != std::string::npos) return take_value(*option, word.substr(equals + 1));
    return take_next(*option, name);
  }

  /// "-fq", "-n5", "-n 5".
  Result<void> take_letters(const std::string& word) {
    for (std::size_t i = 1; i < word.size(); ++i) {
      const std::string name = std::string("-") + word[i];
      const OptionSpec* option = find_option(*command_, name);
      if (option == nullptr) return unknown_option(word.size() == 2 ? name : word);
      if (option->value.empty()) {
        TRY(take_value(*option, ""));
      } else if (i + 1 < word.size()) {
        return take_value(*option, word.substr(word[i + 1] == '=' ? i + 2 : i + 1));
      } else {
        return take_next(*option, name);
      }
    }
    return {};
  }

  Result<void> take_next(const OptionSpec& option, const std::string& name) {
    if (at_ + 1 >= words_.size()) return usage(*command_, fmt::format("the option wants a value: {}", name));
    return take_value(option, words_[++at_]);
  }

  Result<void> take_value(const OptionSpec& option, const std::string& value) {
    if (option.name == "help") {
      wants_help_ = true;
      return {};
    }
    if (!option.value.empty()) TRY(check_value(*command_, option, value));
    options_.emplace_back(option.name, value);
    return {};
  }

  Error unknown_option(const std::string& name) const {
    const bool in_command = !positional_.empty() && command_->path == "job submit";
    return usage(*command_, fmt::format("there is no such option{}{}: {}", suggestion(name, words_of_options(*command_)),
                                        in_command ? "; options of the job's own command stand behind `--`" : "", name));
  }

  Result<ParsedLine> program_line() {
    if (!options_.empty()) {
      return usage(*command_, fmt::format("the options of `{}` stand behind it: --{}", full_name(*command_), options_.front().first));
    }
    ParsedLine line{Arguments(*command_), false, {words_.begin() + static_cast<std::ptrdiff_t>(at_) + 1, words_.end()}};
    if (wants_help_) line.program_words.emplace_back("--help");
    return line;
  }

  Result<void> sort(Arguments& arguments) {
    std::size_t next = 0;
    for (const ArgumentSpec& argument : command_->arguments) {
      if (next == positional_.size() && argument.required) {
        return usage(*command_, fmt::format("an argument is missing: {}", argument.name));
      }
      const std::size_t end = argument.repeated ? positional_.size() : std::min(next + 1, positional_.size());
      for (; next < end; ++next) {
        TRY(check_text(*command_, argument.name, positional_[next], argument.names));
        arguments.add(argument.name, positional_[next]);
      }
    }
    if (next < positional_.size()) {
      return usage(*command_, fmt::format("there is a word too many for `{}`: {}", full_name(*command_), positional_[next]));
    }
    for (auto& [name, value] : options_) arguments.add(name, std::move(value));
    return {};
  }

  std::span<const CommandSpec> tree_;
  std::span<const std::string> words_;
  const CommandSpec* command_;
  std::size_t at_ = 0;
  bool only_arguments_ = false;
  bool wants_help_ = false;
  std::vector<std::string> positional_;
  std::vector<std::pair<std::string, std::string>> options_;
};

}  // namespace

bool Arguments::given(std::string_view name) const {
  CHECK(own_or_global(*command_, name) != nullptr || find_argument(*command_, name) != nullptr, "the command describes no such name");
  return values_.find(name) != values_.end();
}

std::string Arguments::text(std::string_view name) const {
  if (given(name)) return values_.find(name)->second.back();
  const OptionSpec* option = own_or_global(*command_, name);
  return option == nullptr ? "" : option->preset;
}

std::vector<std::string> Arguments::all(std::string_view name) const {
  return given(name) ? values_.find(name)->second : std::vector<std::string>();
}

std::int64_t Arguments::number(std::string_view name) const { return integer(text(name)).value_or(0); }

Duration Arguments::duration(std::string_view name) const { return parse_duration(text(name)).value_or(Duration(0)); }

void Arguments::add(std::string_view name, std::string value) { values_[std::string(name)].push_back(std::move(value)); }

Result<ParsedLine> parse_command_line(std::span<const CommandSpec> tree, std::span<const std::string> words) {
  CHECK(find_command(tree, "") != nullptr, "a tree of commands begins with the program itself");
  return LineParser(tree, words).run();
}

bool is_output_format(std::string_view text) {
  if (text.starts_with("jsonpath=")) return JsonPath::parse(text.substr(9)).ok();
  for (const std::string_view known : {"table", "wide", "json", "yaml", "ndjson", "name"}) {
    if (text == known) return true;
  }
  return false;
}

}  // namespace trainyard::apps

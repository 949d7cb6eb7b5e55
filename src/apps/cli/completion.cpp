#include "apps/cli/completion.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/cli/config.h"
#include "apps/cli/selectors.h"

namespace trainyard::apps {
namespace {

/// Joins what bash broke: "--output" "=" "js" -> "--output=js", "@" "run" -> "@run". Returns what the candidates must not repeat.
std::string join_broken_words(std::vector<std::string>& words) {
  std::vector<std::string> joined;
  std::string kept;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool last = i + 1 == words.size();
    if (words[i] == "=" && !joined.empty() && joined.back().starts_with("--")) {
      joined.back() += "=" + (last ? "" : words[i + 1]);
      kept = i + 2 >= words.size() ? joined.back().substr(0, joined.back().find('=') + 1) : "";
      ++i;
    } else if (words[i] == "@" && !last) {
      joined.push_back("@" + words[i + 1]);
      kept = i + 2 >= words.size() ? "@" : "";
      ++i;
    } else {
      joined.push_back(words[i]);
      kept.clear();
    }
  }
  words = std::move(joined);
  return kept;
}

void keep_begun(std::vector<Candidate>& candidates, const std::string& begun) {
  std::erase_if(candidates,
                [&begun](const Candidate& candidate) { return candidate.word != kCompleteFiles && !candidate.word.starts_with(begun); });
}

class Completer {
 public:
  Completer(std::span<const CommandSpec> tree, const LiveNames& live, const ProgramOptions& program_options)
      : tree_(tree), live_(live), program_options_(program_options), command_(find_command(tree, "")) {}

  std::vector<Candidate> run(const std::vector<std::string>& words) {
    for (std::size_t i = 0; i + 1 < words.size(); ++i) pass(words[i]);
    const std::string& begun = words.back();
    std::vector<Candidate> found = candidates(begun);
    keep_begun(found, begun);
    return found;
  }

 private:
  /// A word before the cursor.
  void pass(const std::string& word) {
    if (wants_value_ != nullptr) {
      wants_value_ = nullptr;
    } else if (word == "--") {
      only_arguments_ = true;
    } else if (!only_arguments_ && word.size() > 1 && word[0] == '-') {
      const OptionSpec* option = find_option(*command_, word);
      if (option != nullptr && !option->value.empty()) wants_value_ = option;
    } else if (is_noun(*command_) || command_->path == "help") {
      const bool in_help = command_->path == "help";
      const CommandSpec* next = find_command(tree_, command_->path.empty() || in_help ? word : command_->path + " " + word);
      if (next != nullptr && !in_help) command_ = next;
    } else {
      ++arguments_;
    }
  }

  std::vector<Candidate> candidates(const std::string& begun) {
    if (wants_value_ != nullptr) return values(*wants_value_, "");
    if (!command_->program.empty())
      return begun.starts_with('-') ? program_options_(*command_) : std::vector<Candidate>{{kCompleteFiles, ""}};
    if (!only_arguments_ && begun.starts_with('-')) {
      const std::size_t equals = begun.find('=');
      const OptionSpec* option = equals == std::string::npos ? nullptr : find_option(*command_, begun.substr(0, equals));
      return option == nullptr ? options() : values(*option, begun.substr(0, equals + 1));
    }
    if (is_noun(*command_)) return commands();
    if (command_->arguments.empty()) return {};
    const std::size_t at = std::min(arguments_, command_->arguments.size() - 1);
    const ArgumentSpec& argument = command_->arguments[at];
    if (arguments_ >= command_->arguments.size() && !argument.repeated) return {};
    return named(argument.names);
  }

  std::vector<Candidate> commands() const {
    std::vector<Candidate> found;
    for (const CommandSpec* below : commands_below(tree_, command_->path))
      found.push_back({std::string(last_word(*below)), below->summary});
    return found;
  }

  std::vector<Candidate> options() const {
    std::vector<Candidate> found;
    for (const auto* some : {&command_->options, &global_options()}) {
      for (const OptionSpec& option : *some) found.push_back({"--" + option.name, option.doc});
    }
    return found;
  }

  /// `before`: "--state=" when the value stands in the same word.
  std::vector<Candidate> values(const OptionSpec& option, const std::string& before) const {
    std::vector<Candidate> found;
    for (const std::string& choice : option.choices) found.push_back({before + choice, ""});
    if (option.name == "state") {
      for (const std::string& state : state_selectors()) found.push_back({before + state, ""});
      for (const char* state : {"QUEUED", "STARTING", "RUNNING", "STOPPING", "SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT"})
        found.push_back({before + state, ""});
    }
    for (Candidate& candidate : named(option.names)) {
      if (candidate.word != kCompleteFiles) candidate.word.insert(0, before);
      found.push_back(std::move(candidate));
    }
    return found;
  }

  std::vector<Candidate> named(Names names) const {
    switch (names) {
      case Names::kNothing:
        return {};
      case Names::kFile:
      case Names::kDirectory:
        return {{kCompleteFiles, ""}};
      case Names::kCommand: {
        std::vector<Candidate> found;
        for (const CommandSpec* below : commands_below(tree_, "")) found.push_back({std::string(last_word(*below)), below->summary});
        return found;
      }
      case Names::kSetting: {
        std::vector<Candidate> found;
        for (const Setting& setting : settings()) found.push_back({setting.key, setting.doc});
        return found;
      }
      case Names::kJob: {
        std::vector<Candidate> found = live_(names);
        found.push_back({"last", "the job submitted last"});
        for (const std::string& state : state_selectors()) found.push_back({state, ""});
        return found;
      }
      case Names::kQueue:
      case Names::kNode:
      case Names::kPool:
      case Names::kUser:
      case Names::kToken:
      case Names::kWorkflow:
      case Names::kRun:
      case Names::kModel:
      case Names::kDataset:
        return live_(names);
    }
    return {};
  }

  std::span<const CommandSpec> tree_;
  const LiveNames& live_;
  const ProgramOptions& program_options_;
  const CommandSpec* command_;
  const OptionSpec* wants_value_ = nullptr;
  bool only_arguments_ = false;
  std::size_t arguments_ = 0;
};

constexpr const char* kBash = R"sh(# Completion for trainyard: source <(trainyard completion bash)
_trainyard() {
  local word doc
  COMPREPLY=()
  while IFS=$'\t' read -r word doc; do
    if [[ $word == :files ]]; then
      compopt -o filenames 2>/dev/null
      while read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]#=}")
    else
      [[ $word == *= ]] && compopt -o nospace 2>/dev/null
      COMPREPLY+=("$word")
    fi
  done < <(trainyard __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _trainyard trainyard
)sh";

constexpr const char* kZsh = R"sh(#compdef trainyard
# Completion for trainyard: source <(trainyard completion zsh), or a file _trainyard in $fpath
_trainyard() {
  local line word
  local -a described
  while IFS= read -r line; do
    word=${line%%$'\t'*}
    if [[ $word == :files ]]; then
      _files
    else
      described+=("${word//:/\\:}:${line#*$'\t'}")
    fi
  done < <(trainyard __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
  (( ${#described} )) && _describe -t values trainyard described
  return 0
}
if [[ ${funcstack[1]-} == _trainyard ]]; then
  _trainyard "$@"
else
  compdef _trainyard trainyard
fi
)sh";

constexpr const char* kFish = R"sh(# Completion for trainyard: trainyard completion fish | source
function __trainyard_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (trainyard __complete -- $words[2..-1] 2>/dev/null)
        if string match -q ':files*' -- $line
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c trainyard -f -a '(__trainyard_complete)'
)sh";

}  // namespace

std::vector<Candidate> complete(std::span<const CommandSpec> tree, std::vector<std::string> words, const LiveNames& live,
                                const ProgramOptions& program_options) {
  if (words.empty()) words.emplace_back();
  const std::string kept = join_broken_words(words);
  std::vector<Candidate> found = Completer(tree, live, program_options).run(words);
  for (Candidate& candidate : found) {
    if (candidate.word.starts_with(kept)) candidate.word.erase(0, kept.size());
  }
  return found;
}

std::string candidate_lines(const std::vector<Candidate>& candidates) {
  std::string text;
  for (const Candidate& candidate : candidates) {
    std::string doc = candidate.doc;
    std::replace_if(
        doc.begin(), doc.end(), [](char letter) { return static_cast<unsigned char>(letter) < 0x20; }, ' ');
    text += candidate.word + "\t" + doc + "\n";
  }
  return text;
}

std::string completion_script(std::string_view shell) {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  if (shell == "fish") return kFish;
  return "";
}

}  // namespace trainyard::apps

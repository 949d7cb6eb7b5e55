#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "apps/cli/command_tree.h"

namespace trainyard::apps {

/// A word that may stand at the cursor.
struct Candidate {
  std::string word;
  std::string doc;

  bool operator==(const Candidate&) const = default;
};
/// Instead of words: the shell completes file names itself.
inline constexpr const char* kCompleteFiles = ":files";

/// What there is of a kind right now, e.g. ids of jobs. May ask a server.
using LiveNames = std::function<std::vector<Candidate>(Names names)>;
/// The options of another program.
using ProgramOptions = std::function<std::vector<Candidate>(const CommandSpec& command)>;

/// The words that continue `words`, whose last one is begun (perhaps empty) at the cursor. A candidate replaces this word; when bash broke
/// a word at '=' or '@' it replaces the piece behind that.
std::vector<Candidate> complete(std::span<const CommandSpec> tree, std::vector<std::string> words, const LiveNames& live,
                                const ProgramOptions& program_options);

/// One candidate a line: "word<TAB>doc".
std::string candidate_lines(const std::vector<Candidate>& candidates);

/// The script that a shell sources: "bash", "zsh" or "fish"; empty for any other. It asks `trainyard __complete` for everything.
std::string completion_script(std::string_view shell);

}  // namespace trainyard::apps

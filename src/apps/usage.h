#pragma once
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace trainyard::apps {

/// What is wrong with a command line that was refused, for people: names the word, suggests the nearest command or option and says where
/// the help is. `words` are the arguments without the program, `refusal` is what the parser said.
std::string explain_usage_error(const CLI::App& app, const std::vector<std::string>& words, const std::string& refusal);

}  // namespace trainyard::apps
